"""All pairs of vectors that are alike, by products of blocks, in memory that does not grow with their number."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from transforms.measure.cosines import blocks, exact_cosines, has_direction, rounding, rows_per_block


class Pairs(NamedTuple):
    """Pairs of rows: int64 [N] twice, and their cosines, float64 [N]."""

    a: np.ndarray
    b: np.ndarray
    cosines: np.ndarray


def pairs_above(vectors: np.ndarray, above: float) -> Iterator[Pairs]:
    """Find all pairs of rows with at least a cosine, each once, its first row first; those of two blocks at a time.

    Args:
      vectors: `unit_vectors`, float32 [N, D], perhaps in a file; two blocks at a time are read. Zeros are in no pair.
      above: the least cosine, -1 to 1.
    """
    parts = list(blocks(len(vectors), rows_per_block(vectors.shape[1])))
    for i, first in enumerate(parts):
        a = np.asarray(vectors[first])
        for second in parts[i:]:
            b = a if second is first else np.asarray(vectors[second])
            found = pairs_between(a, b, above, same=second is first)
            yield Pairs(found.a + first.start, found.b + second.start, found.cosines)


def comparisons(rows: int, dim: int) -> int:
    """Return how many times `pairs_above` compares two blocks, and yields what it finds, for vectors float [N, D]."""
    parts = len(list(blocks(rows, rows_per_block(dim))))
    return parts * (parts + 1) // 2


def pairs_between(a: np.ndarray, b: np.ndarray, above: float, *, same: bool = False) -> Pairs:
    """Find the pairs of a row of one block and a row of another with at least a cosine.

    Products in float32 only choose whom to compare exactly: so the same pairs are found however rows are divided.

    Args:
      a: `unit_vectors`, float32 [N, D].
      b: likewise, float32 [M, D].
      above: the least cosine, -1 to 1.
      same: whether both are one block, of which each pair is wanted once.
    """
    products = a @ b.T
    chosen = np.flatnonzero(products >= above - rounding(a.shape[1]))
    rows, others = np.divmod(chosen, len(b))
    wanted = has_direction(a)[rows] & has_direction(b)[others] & (not same or rows < others)
    rows, others = rows[wanted], others[wanted]
    cosines = exact_cosines(a, rows, b, others)
    alike = cosines >= above
    return Pairs(rows[alike], others[alike], cosines[alike])


class Pair(NamedTuple):
    """Two images that are alike, `uri_a` before `uri_b`, and the cosine of their vectors."""

    uri_a: str
    uri_b: str
    cosine: float


def pairs_of(uris: Iterable[str], others: Iterable[str], cosines: np.ndarray) -> Iterator[Pair]:
    """Name the images of pairs, so that a pair is the same wherever its rows stand: uris [N] twice, float64 [N]."""
    for uri, other, cosine in zip(uris, others, cosines.tolist(), strict=True):
        yield Pair(min(uri, other), max(uri, other), cosine)
