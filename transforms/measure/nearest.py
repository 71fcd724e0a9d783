"""The vectors that are nearest to some others: all are compared, none is indexed."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from transforms.measure.cosines import blocks, exact_cosines, has_direction, rows_per_block

NONE = -2.0
"""Below every cosine: the product of what is not to be found."""


class Neighbour(NamedTuple):
    """A row, and the cosine of its vector to the one that was asked for."""

    row: int
    cosine: float


def nearest(
    vectors: np.ndarray, wanted: np.ndarray, top: int, leave_out: Sequence[int | None] = ()
) -> list[list[Neighbour]]:
    """Find the `top` nearest rows for each wanted vector, nearest first, of equals the first row first.

    Args:
      vectors: `unit_vectors`, float32 [N, D], perhaps in a file; a block at a time is read.
      wanted: `unit_vectors`, float32 [Q, D]; nothing is near to zeros.
      top: maximum number of rows for each.
      leave_out: for each of `wanted` a row that is not to be found, its own; None for none.
    """
    scores = np.full((len(wanted), 0), NONE, np.float32)
    rows = np.zeros((len(wanted), 0), np.int64)
    for block in blocks(len(vectors), rows_per_block(vectors.shape[1])):
        part = np.asarray(vectors[block])
        found = wanted @ part.T
        # Few products are 0, and looking at all vectors would take as long as multiplying them.
        zeros = np.flatnonzero(~found.any(axis=0))
        found[:, zeros[~has_direction(part[zeros])]] = NONE
        for query, row in enumerate(leave_out):
            if row is not None and block.start <= row < block.stop:
                found[query, row - block.start] = NONE
        scores = np.concatenate([scores, found], axis=1)
        rows = np.concatenate([rows, np.broadcast_to(np.arange(block.start, block.stop), found.shape)], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
        scores, rows = np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)
    return [
        _sorted(vectors, one, kept[score > NONE]) if one.any() else []
        for one, kept, score in zip(wanted, rows, scores, strict=True)
    ]


def _sorted(vectors: np.ndarray, wanted: np.ndarray, rows: np.ndarray) -> list[Neighbour]:
    cosines = exact_cosines(vectors, rows, wanted[None], np.zeros_like(rows))
    return sorted(map(Neighbour, rows.tolist(), cosines.tolist()), key=lambda found: (-found.cosine, found.row))
