"""The points that are shown: some rows of a collection, all if they are few, with the columns that it carries."""

from typing import NamedTuple

import numpy as np

from pipelines.similar.collection import Collection
from pipelines.similar.matrix import matrix_of, sample
from transforms.collection.values import UNUSABLE, as_text, text_of_bytes
from transforms.core.errors import UsageError
from transforms.measure.cosines import has_direction


class Points(NamedTuple):
    """Some rows of a collection.

    Attributes:
      uris: the uri of each.
      vectors: `unit_vectors`, float32 [N, D].
      columns: the values of each carried column as text, '' for null.
    """

    uris: list[str]
    vectors: np.ndarray
    columns: dict[str, list[str]]


def points_of(collection: Collection, limit: int) -> Points:
    """Take all rows, or a random sample, the same each time; those without a direction have no place, and are left out.

    Raises:
      UsageError: nothing is left to show.
      RunError: a file of the collection cannot be read.
    """
    rows = sample(collection.rows, limit, np.random.default_rng(0))
    with matrix_of(collection) as matrix:
        rows = rows[has_direction(matrix.vectors[rows])]
        if not len(rows):
            raise UsageError("there is nothing to show: all embeddings are zero or not finite")
        return Points(matrix.uris_of(rows), np.array(matrix.vectors[rows]), _columns_of(collection, rows))


def _columns_of(collection: Collection, rows: np.ndarray) -> dict[str, list[str]]:
    """Return what some rows, in rising order, carry."""
    names = collection.carried
    found: list[tuple[str, ...]] = []
    if names:
        first = 0
        for keys in collection.row_keys():
            some = rows[np.searchsorted(rows, first) : np.searchsorted(rows, first + len(keys.uris))]
            found += (tuple(map(_text, keys.carried[row - first])) for row in some.tolist())
            first += len(keys.uris)
    return dict(zip(names, map(list, zip(*found, strict=True)), strict=True))


def _text(value: object) -> str:
    """Return a carried value as text; TFRecord has a sequence of values for each."""
    if isinstance(value, tuple):
        value = value[0] if len(value) == 1 else list(value) or None
    try:
        return text_of_bytes(value) if isinstance(value, bytes) else as_text(value) or ""
    except UNUSABLE:
        return str(value)
