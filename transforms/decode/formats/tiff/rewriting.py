"""Another directory for a TIFF, put behind its bytes."""

import struct
from collections.abc import Mapping, Sequence

from transforms.decode.formats.tiff.directory import TYPES
from transforms.decode.formats.tiff.tags import Tag


def with_directory(data: bytes, order: str, tags: Mapping[int, Sequence[int]]) -> bytes:
    """Return a TIFF whose one directory holds some tags, and whose strips or tiles are those of a file's bytes."""
    # The file's bytes come behind a header of their own, since a strip may begin at once.
    moved = {tag: [n + 8 for n in values] if tag in (Tag.STRIPS, Tag.TILES) else values for tag, values in tags.items()}
    start = 8 + len(data)
    behind = start + 2 + 12 * len(moved) + 4
    entries, arrays = b"", b""
    for tag, values in sorted(moved.items()):
        type_ = 7 if tag == Tag.JPEG_TABLES else 4
        packed = struct.pack(f"{order}{len(values)}{TYPES[type_]}", *values)
        entries += struct.pack(f"{order}HHI", tag, type_, len(values))
        entries += packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack(f"{order}I", behind + len(arrays))
        arrays += packed if len(packed) > 4 else b""
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    return b"".join([header, data, struct.pack(f"{order}H", len(moved)), entries, bytes(4), arrays])
