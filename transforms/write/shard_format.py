"""What a file format must offer, so that its rows can be divided into shards."""

import abc
from collections.abc import Iterable, Iterator
from typing import Any

from transforms.collection.layout import FileKind

PART_BYTES = 8 << 20
"""Maximum bytes of vectors that a bundle buffers before it writes a part."""
PART_ROWS = 4096
"""Maximum rows that a bundle buffers before it writes a part."""


def rows_per_part(dim: int) -> int:
    """Return how many vectors of width `dim` a bundle buffers before it writes a part."""
    return min(max(PART_BYTES // (4 * dim), 1), PART_ROWS)


class ShardFormat(abc.ABC):
    """A file format as the sinks see it; a chunk is some rows, with a length, that can be sliced.

    Files are on the local disk: moving them is not the format's business.

    Attributes:
      kind: kind of file, which names the files.
      rows_per_part: rows that a bundle buffers before it writes a part.
    """

    kind: FileKind
    rows_per_part: int = PART_ROWS

    @abc.abstractmethod
    def encode(self, elements: list[Any]) -> Any:
        """Turn elements into one chunk."""

    @abc.abstractmethod
    def uris(self, chunk: Any) -> list[str]:
        """Return the uris of a chunk's rows."""

    @abc.abstractmethod
    def write(self, path: str, chunks: Iterable[Any]) -> None:
        """Write chunks to a new local file."""

    @abc.abstractmethod
    def read(self, path: str) -> Iterator[Any]:
        """Read the chunks of a local file, one at a time."""
