"""What a file format must offer, so that its rows can be divided into shards."""

import abc
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from transforms.collection.layout import FileKind
from transforms.core.elements import Embedding, ImageFacts, ImageUri
from transforms.storage.files import read_locally

PART_BYTES = 8 << 20
"""Maximum bytes of vectors that a bundle buffers before it writes a part."""
PART_ROWS = 4096
"""Maximum rows that a bundle buffers before it writes a part."""


def rows_per_part(dim: int) -> int:
    """Return how many vectors of width `dim` a bundle buffers before it writes a part."""
    return min(max(PART_BYTES // (4 * dim), 1), PART_ROWS)


class ShardFormat(abc.ABC):
    """A file format as the sinks see it; a chunk is some rows, with a length, that can be sliced.

    What it writes, and what `read` reads, is on the local disk: moving files is not the format's business.

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

    def select(self, chunk: Any, keep: np.ndarray) -> Any:
        """Return the rows of a chunk for which `keep` is true: bool [N]."""
        return list(itertools.compress(chunk, keep))

    def uris_in(self, path: str) -> Iterator[list[str]]:
        """Read the uris of a file on any Beam filesystem, in order, a chunk at a time."""
        with read_locally(path) as local:
            yield from map(self.uris, self.read(local))

    @abc.abstractmethod
    def write(self, path: str, chunks: Iterable[Any]) -> None:
        """Write chunks to a new local file."""

    @abc.abstractmethod
    def read(self, path: str) -> Iterator[Any]:
        """Read the chunks of a local file, one at a time."""


class RowKeys(NamedTuple):
    """What tells rows from others, a list for each; `carried` is comparable with `EmbeddingsFormat.comparable`."""

    uris: list[str]
    versions: list[str]
    sha256: list[str]
    carried: list[Any]


class EmbeddingsFormat(ShardFormat):
    """A format of embeddings, which can be read back."""

    @abc.abstractmethod
    def keys(self, path: str) -> Iterator[RowKeys]:
        """Read what tells the rows of a file on any Beam filesystem from others, in order, a chunk at a time."""

    @abc.abstractmethod
    def facts(self, path: str) -> Iterator[list[ImageFacts]]:
        """Read what is known of the images of a file on any Beam filesystem, in order, a chunk at a time."""

    @abc.abstractmethod
    def comparable(self, columns: Mapping[str, Any]) -> Any:
        """Return carried columns as they would be read from a file."""

    @abc.abstractmethod
    def embeddings(self, path: str, wanted: Mapping[str, ImageUri]) -> Iterator[Embedding]:
        """Read the rows of a file on any Beam filesystem with the uris of `wanted`, as embeddings of its values."""

    @abc.abstractmethod
    def vectors(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[tuple[list[str], np.ndarray]]:
        """Read uris and vectors of a file on any Beam filesystem, in order, a chunk at a time: float [N, D].

        Args:
          path: the file.
          start: first row that is wanted.
          stop: row before which to stop; None reads to the end.
        """
