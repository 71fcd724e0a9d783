"""Count the parts of a file before it is decoded: segments, blocks, chunks, scans.

A decoder spends time on each part, however small, so that a file of millions keeps it for minutes.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping

from transforms.core.errors import ImageError

MAX_PARTS: Mapping[str, int] = {"JPEG": 10_000, "GIF": 10_000, "PNG": 100_000, "TIFF": 200_000, "PPM": 10_000}
"""Maximum number of segments before a JPEG's first scan, blocks of a GIF's extensions, chunks of a PNG, strips or tiles
of a TIFF, comments of a PPM in text. Files of 64 MiB that programs write have up to about 1,000, 1,000, 10,000, 100,000
and 10."""

MAX_SCANS = 500
"""Maximum number of scans of a JPEG. Encoders write about 10, and each one costs a pass over all pixels."""

_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")
"""A marker of a JPEG that begins a segment or ends the image: no stuffed byte, restart or fill byte."""

_SOS, _EOI = 0xDA, 0xD9


PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
"""The bytes that a PNG begins with."""


def check_parts(data: bytes) -> None:
    """Refuse a file of more parts than any encoder writes.

    Raises:
      ImageError: too_many_parts or too_many_scans.
    """
    format_ = next((format_ for magic, format_ in _MAGIC.items() if data.startswith(magic)), None)
    if format_ is None:
        return
    refuse_more(format_, _counted(_PARTS[format_](data), MAX_PARTS[format_]))
    # Most files hold fewer scans than this even if thumbnails and what lies behind the image are counted.
    if format_ == "JPEG" and data.count(b"\xff\xda") > MAX_SCANS:
        scans = (marker for marker, _ in _jpeg_markers(data) if marker == _SOS)
        if _counted(scans, MAX_SCANS) > MAX_SCANS:
            raise ImageError("too_many_scans", f"more than {MAX_SCANS} scans")


def refuse_more(format_: str, parts: int) -> None:
    """Refuse a number of parts that is over the limit of the format.

    Raises:
      ImageError: too_many_parts.
    """
    if parts > MAX_PARTS[format_]:
        raise ImageError("too_many_parts", f"a {format_} of more than {MAX_PARTS[format_]} {_NAMES[format_]}")


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Give the chunks of a PNG: its type, and where it begins and ends, with length and checksum."""
    at = 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        yield data[at + 4 : at + 8], at, end
        at = end


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Give the segments of a JPEG before its first scan: its marker, and where its length is."""
    for marker, start in _jpeg_markers(data):
        if marker == _SOS:
            return
        yield marker, start


def _counted(parts: Iterator[object], limit: int) -> int:
    """Count parts, but no further than one above the limit."""
    return sum(1 for _ in itertools.islice(parts, limit + 1))


def _jpeg_markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Give the markers of a JPEG's own stream, up to the end of its image, and where each ends."""
    at = 2
    while marker := _MARKER.search(data, at):
        code = data[marker.start() + 1]
        yield code, marker.end()
        if code == _EOI:
            return
        # The data of a scan follow its header, and have no length.
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])


def _gif_blocks(data: bytes) -> Iterator[int]:
    """Give the lengths of the blocks of a GIF's extensions before its first frame."""
    at = 13 + (3 << (data[10] & 7) + 1 if len(data) > 10 and data[10] & 0x80 else 0)
    while data[at : at + 1] == b"!":
        at += 2
        while at < len(data) and data[at]:
            yield data[at]
            at += 1 + data[at]
        at += 1


_MAGIC = {b"\xff\xd8": "JPEG", PNG_MAGIC: "PNG", b"GIF8": "GIF", b"P1": "PPM", b"P2": "PPM", b"P3": "PPM"}
_NAMES = {
    "JPEG": "segments",
    "GIF": "blocks in extensions",
    "PNG": "chunks",
    "TIFF": "strips or tiles",
    "PPM": "comments",
}
_PARTS: Mapping[str, Callable[[bytes], Iterator[object]]] = {
    "JPEG": jpeg_segments,
    "PNG": png_chunks,
    "GIF": _gif_blocks,
    "PPM": re.compile(b"#").finditer,
}
