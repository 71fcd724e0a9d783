"""Cosines: vectors of unit length, their products a block at a time, and how far float32 can be off."""

from collections.abc import Iterator

import numpy as np

BLOCK_BYTES = 64 << 20
"""Maximum bytes of a block of vectors, and of the products of two blocks."""
BLOCK_ROWS = 4096
"""Maximum rows of a block: the products of two blocks then take BLOCK_BYTES."""
EXACT_BYTES = 16 << 20
"""Bytes of float64 vectors that exact cosines are computed from at a time."""


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors to unit length: float [N, D] -> float32 [N, D], with zeros for those that have no direction.

    These are zero vectors, and those with a number that is not finite.
    """
    wide = vectors.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        norms = np.sqrt(np.square(wide).sum(axis=1, keepdims=True))
    usable = np.isfinite(norms) & (norms > 0)
    wide[~usable[:, 0]] = 0
    unit: np.ndarray = (wide / np.where(usable, norms, 1)).astype(np.float32)
    return unit


def has_direction(unit: np.ndarray) -> np.ndarray:
    """Tell which of `unit_vectors` are not zero: float32 [N, D] -> bool [N]."""
    return np.asarray(unit.any(axis=1))


def rows_per_block(dim: int) -> int:
    """Return how many vectors of a width a block holds."""
    return min(max(BLOCK_BYTES // (4 * dim), 1), BLOCK_ROWS)


def blocks(rows: int, size: int) -> Iterator[slice]:
    """Divide rows into blocks of a size; the last may be smaller."""
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def rounding(dim: int) -> float:
    """Return how far the float32 product of two unit vectors can be from their cosine, at most.

    A dot product of n numbers in any order is off by n u / (1 - n u) of the sum of its terms' sizes, which for unit
    vectors is at most 1; and the vectors were rounded (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
    """
    unit_roundoff = 2.0**-24
    return (dim + 4) * unit_roundoff / (1 - (dim + 4) * unit_roundoff)


def exact_cosines(a: np.ndarray, rows: np.ndarray, b: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the cosines of some rows of `a` to as many of `b`, in float64.

    A cosine does not depend on what else is computed, and is 1 for equal vectors.

    Args:
      a: `unit_vectors`, float32 [N, D].
      rows: rows of it that are not zero, int64 [K].
      b: `unit_vectors`, float32 [M, D].
      others: likewise, int64 [K].
    """
    found = np.empty(len(rows))
    for some in blocks(len(rows), max(EXACT_BYTES // (8 * a.shape[1]), 1)):
        x, y = a[rows[some]].astype(np.float64), b[others[some]].astype(np.float64)
        squares = np.square(x).sum(axis=1) * np.square(y).sum(axis=1)
        found[some] = (x * y).sum(axis=1) / np.sqrt(squares)
    return found.clip(-1, 1)
