"""All pairs of vectors that are alike, where they are more than a machine's memory, or one machine is too slow."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np

from transforms.measure.cosines import rows_per_block, unit_vectors
from transforms.measure.pairs import Pair, pairs_between, pairs_of


class RowRange(NamedTuple):
    """Rows of a file, from `start` to before `stop`."""

    path: str
    start: int
    stop: int


Block = tuple[RowRange, ...]
"""Rows that are held in memory at a time."""

Rows = tuple[Sequence[str], np.ndarray]
"""The uris and the vectors of rows, float [N, D]."""


def blocks_of(files: Iterable[tuple[str, int]], dim: int) -> list[Block]:
    """Divide files into blocks of even size, but for the last: (path, rows) -> blocks.

    Args:
      files: the path of each file, and its number of rows.
      dim: width of the vectors.
    """
    size = rows_per_block(dim)
    found: list[list[RowRange]] = []
    room = 0
    for path, rows in files:
        start = 0
        while start < rows:
            if not room:
                found.append([])
                room = size
            stop = min(start + room, rows)
            found[-1].append(RowRange(path, start, stop))
            room -= stop - start
            start = stop
    return [tuple(block) for block in found]


@dataclasses.dataclass
class NearDuplicates(beam.PTransform):
    """Find all pairs of rows with at least a cosine, each once, as `pairs_above` finds them: PBegin -> Pair.

    Each pair of blocks is read and compared by itself, so any number of workers can share them, and none holds more
    than two blocks.

    Args:
      blocks: the rows, see `blocks_of`.
      read: function that reads rows, on any worker.
      above: the least cosine, -1 to 1.
    """

    blocks: Sequence[Block]
    read: Callable[[RowRange], Rows]
    above: float

    def __post_init__(self) -> None:
        super().__init__()
        if not -1 <= self.above <= 1:
            raise ValueError(f"above must be from -1 to 1, is {self.above}")

    def expand(self, root: Any) -> Any:
        return (
            root
            | beam.Create(range(len(self.blocks)), reshuffle=False)
            | "PairsOfBlocks" >> beam.FlatMap(_with_later, len(self.blocks)).with_output_types(tuple[int, int])
            | beam.Reshuffle()
            | "Compare" >> beam.FlatMap(_compared, self.blocks, self.read, self.above).with_output_types(Pair)
        )


def _with_later(block: int, blocks: int) -> Iterator[tuple[int, int]]:
    """Pair a block with itself and those behind it."""
    return ((block, other) for other in range(block, blocks))


def _compared(
    numbers: tuple[int, int], blocks: Sequence[Block], read: Callable[[RowRange], Rows], above: float
) -> Iterator[Pair]:
    first, second = numbers
    uris_a, a = _read(blocks[first], read)
    uris_b, b = (uris_a, a) if first == second else _read(blocks[second], read)
    found = pairs_between(a, b, above, same=first == second)
    return pairs_of([uris_a[row] for row in found.a], [uris_b[row] for row in found.b], found.cosines)


def _read(block: Block, read: Callable[[RowRange], Rows]) -> Rows:
    rows = [read(part) for part in block]
    uris = [uri for some, _ in rows for uri in some]
    return uris, np.concatenate([unit_vectors(vectors) for _, vectors in rows])
