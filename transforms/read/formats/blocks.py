"""Blocks of whole lines of a text file: what is known of a block is found at once, not line by line."""

import io
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from transforms.read.formats.parts import FoundParts, Joined, Part
from transforms.read.formats.text_lines import UTF8, Lines, encoding_of

T = TypeVar("T")

BLOCK_BYTES = 4 << 20
"""Size of a block: far more than a usual line, far less than the longest that is read."""


class Blocks(Iterator[bytes]):
    """The lines of a binary file of UTF-8, in blocks; each ends with a line feed.

    A file in another encoding has no blocks, and nothing is one from a line on that is longer than a block, and for a
    last line without an end.

    Attributes:
      encoding: the encoding of the file.
      start: position of the present block in the file, in bytes.
      stop: position of its end.
    """

    def __init__(self, f: Any):
        self._file = f
        # A mark is whole, however small a block is.
        self._held: bytes = f.read(4) + f.read(BLOCK_BYTES)
        mark, self.encoding = encoding_of(self._held)
        # Marks of other encodings are read again by their decoders.
        self._held = self._held[mark:]
        self.start = self.stop = mark

    def __next__(self) -> bytes:
        end = self._held.rfind(b"\n") + 1 if self.encoding == UTF8 else 0
        if not end:
            raise StopIteration
        block, left = self._held[:end], self._held[end:]
        self._held = left + self._file.read(BLOCK_BYTES)
        self.start, self.stop = self.stop, self.stop + end
        return block

    def give_back(self, block: bytes) -> None:
        """Take back the present block, or the end of it, to give it again."""
        self._held = block + self._held
        self.stop -= len(block)

    def take(self, size: int) -> bytes:
        """Return the first bytes of what was not given as a block yet."""
        head, self._held = self._held[:size], self._held[size:]
        self.stop += len(head)
        return head

    def rest(self) -> Any:
        """Return a file of what was not given as a block yet."""
        return io.BufferedReader(Joined(self._held, self._file))


class PartedRows(Generic[T]):
    """The rows of a file, each of which is in one line.

    Args:
      blocks: the file.
      rows_of: function, lines -> their rows.

    Attributes:
      parts: parts of the file, once all rows were taken; () if it is one.
    """

    def __init__(self, blocks: Blocks, rows_of: Callable[[Lines], Iterator[T]]):
        self._blocks, self._rows_of, self.parts = blocks, rows_of, tuple[Part, ...]()

    def __iter__(self) -> Iterator[T]:
        blocks, found, number = self._blocks, FoundParts(), 0
        for block in blocks:
            found.add(blocks.start, block, number)
            for row in self._rows_of(Lines(io.BytesIO(block), blocks.encoding)):
                number += 1
                yield row
        self.parts = found.end(blocks.stop, number)
        yield from self._rows_of(Lines(blocks.rest(), blocks.encoding))
