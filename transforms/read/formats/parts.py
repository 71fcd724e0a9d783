"""Parts of a list, so that several workers read one: whole lines of text, or whole row groups of Parquet."""

import dataclasses
import io
import zlib
from typing import Any

PART_BYTES = 64 << 20
"""Size at which a part ends: some seconds of reading, beside which its start is nothing."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a list.

    Attributes:
      start: where it begins: a position in bytes, or the number of a row group.
      stop: where it ends; None for the end of the list.
      rows_before: number of rows of the list before it.
      head: bytes that are read before its own: the header of CSV.
      crc32: checksum of its own bytes when the list was looked at; None if it is not known.
    """

    start: int
    stop: int | None
    rows_before: int
    head: bytes = b""
    crc32: int | None = None


class FoundParts:
    """Gather blocks of a text file into parts.

    Args:
      head: bytes that each part begins with.
    """

    def __init__(self, head: bytes = b""):
        self._head, self._parts = head, list[Part]()
        self._start, self._rows_before, self._crc32 = -1, 0, 0

    def add(self, start: int, block: bytes, rows_before: int) -> None:
        """Add the next block."""
        if self._start < 0:
            self._begin(start, rows_before)
        stop = start + len(block)
        self._crc32 = zlib.crc32(block, self._crc32)
        if stop - self._start >= PART_BYTES:
            self._parts.append(Part(self._start, stop, self._rows_before, self._head, self._crc32))
            self._begin(-1, 0)

    def end(self, start: int, rows_before: int) -> tuple[Part, ...]:
        """Return the parts if what no block holds begins at `start`; () if the list is one."""
        if self._start < 0:
            self._begin(start, rows_before)
        return (*self._parts, Part(self._start, None, self._rows_before, self._head)) if self._parts else ()

    def _begin(self, start: int, rows_before: int) -> None:
        self._start, self._rows_before, self._crc32 = start, rows_before, 0


class Joined(io.RawIOBase):
    """The bytes of a file behind some others.

    Args:
      head: the others.
      f: the file, at the place to begin.
      size: number of the file's bytes, None for all.
      crc32: their checksum; another one raises OSError at their end.
    """

    def __init__(self, head: bytes, f: Any, size: int | None = None, crc32: int | None = None):
        self._head, self._file, self._left, self._expected = memoryview(head), f, size, crc32
        self._crc32 = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._head:
            self._head = memoryview(self._read(len(buffer)))
        size = min(len(buffer), len(self._head))
        buffer[:size], self._head = self._head[:size], self._head[size:]
        return size

    def _read(self, size: int) -> bytes:
        data: bytes = self._file.read(size if self._left is None else min(size, self._left))
        if self._left is not None:
            self._left -= len(data)
        if self._expected is not None:
            self._crc32 = zlib.crc32(data, self._crc32)
            if self._crc32 != self._expected and (not self._left or not data):
                raise OSError("a uri list changed while it was read, or came corrupted")
        return data
