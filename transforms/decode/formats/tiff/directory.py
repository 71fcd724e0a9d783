"""The first directory of a TIFF: where it says what it is."""

import struct
from collections.abc import Sequence
from typing import Any

from transforms.core.errors import ImageError
from transforms.decode.formats.tiff.tags import Tag
from transforms.decode.parts import refuse_more

TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
"""Types of a directory's whole numbers, by the letters of `struct`."""

_ORDERS = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">"}
"""Byte order by the first bytes; + is BigTIFF."""


def is_tiff(data: bytes) -> bool:
    """Whether bytes begin like a TIFF or BigTIFF."""
    return data[:4] in _ORDERS


class Directory:
    """The first directory of a TIFF: whole numbers by tag.

    Args:
      data: bytes of the file.

    Raises:
      ImageError: corrupt or truncated, for a directory that cannot be read; too_many_parts.
    """

    def __init__(self, data: bytes):
        self.data = data
        self.order = _ORDERS[data[:4]]
        self.big = data[2:3] == b"+" or data[3:4] == b"+"
        try:
            self._fields = self._read()
        except struct.error as e:
            raise ImageError("truncated", "the directory of the TIFF lies behind its end") from e
        for tag in (Tag.STRIPS, Tag.TILES):
            refuse_more("TIFF", self._fields.get(tag, (0, 0, 0))[1])

    def _read(self) -> dict[int, tuple[int, int, int]]:
        """Return the type, the count and the position of each tag's numbers."""
        (start,) = self._unpack("Q" if self.big else "I", 8 if self.big else 4)
        count_type, entry = ("Q", "HHQ") if self.big else ("H", "HHI")
        (count,) = self._unpack(count_type, start)
        at, fields = start + struct.calcsize(f"={count_type}"), {}
        inline = 8 if self.big else 4
        for _ in range(min(count, 4096)):
            tag, type_, length = self._unpack(entry, at)
            at += struct.calcsize(f"={entry}")
            size = struct.calcsize(f"={TYPES.get(type_, 'Q')}") * length
            position = at if size <= inline else self._unpack("Q" if self.big else "I", at)[0]
            fields[tag] = (type_, length, position)
            at += inline
        return fields

    def _unpack(self, letters: str, at: int) -> tuple[Any, ...]:
        return struct.unpack_from(self.order + letters, self.data, at)

    def __contains__(self, tag: int) -> bool:
        return tag in self._fields

    def numbers(self, tag: int, default: Sequence[int] = ()) -> tuple[int, ...]:
        """Return the numbers of a tag.

        Raises:
          ImageError: they lie behind the end of the file, or are no whole numbers.
        """
        if tag not in self._fields:
            return tuple(default)
        type_, length, position = self._fields[tag]
        try:
            return self._unpack(f"{length}{TYPES[type_]}", position)
        except (KeyError, struct.error) as e:
            raise ImageError("corrupt", f"the TIFF's tag {tag} cannot be read") from e

    def number(self, tag: int, default: int) -> int:
        """Return the first number of a tag."""
        return next(iter(self.numbers(tag)), default)
