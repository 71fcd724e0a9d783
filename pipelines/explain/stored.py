"""What a collection holds of one image: its row or its failure; and the rows that are nearest to a vector."""

import itertools
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipelines.similar.collection import Collection
from pipelines.similar.matrix import Matrix
from pipelines.similar.queries import named_row
from transforms.collection.layout import FAILURES, path_of
from transforms.core.elements import Embedding, ImageUri
from transforms.core.errors import RunError, one_line
from transforms.core.failures import Failure
from transforms.measure.cosines import unit_vectors
from transforms.measure.nearest import nearest
from transforms.storage.files import opened


class Stored(NamedTuple):
    """What a collection holds of an image.

    Attributes:
      uri: its one uri.
      row: its row, counted over all files; None if it has none.
      embedding: the embedding that the row holds.
      failure: its failure.
    """

    uri: str
    row: int | None = None
    embedding: Embedding | None = None
    failure: Failure | None = None


def stored_of(name: str, collection: Collection, folder: str, matrix: Matrix) -> Stored:
    """Return what a collection holds of the image that a person names.

    Args:
      name: its uri, or a path that leads to it.
      collection: the collection.
      folder: the folder that it is in.
      matrix: its vectors.

    Raises:
      RunError: a file of the collection cannot be read.
    """
    uri, row = named_row(name, matrix)
    try:
        embedding = None if row is None else _embedding(uri, row, collection)
        names = [file["name"] for file in collection.manifest["files"] if FAILURES.names(file["name"])]
        failures = (_failure((name, uri), path_of(folder, file)) for file in names)
        return Stored(uri, row, embedding, next(filter(None, failures), None))
    except (OSError, ValueError, KeyError) as e:
        raise RunError(f"cannot read what {folder} holds of {uri}: {one_line(e)}") from e


def _embedding(uri: str, row: int, collection: Collection) -> Embedding | None:
    ends = itertools.accumulate(rows for _, rows in collection.files)
    path = next(path for (path, _), end in zip(collection.files, ends, strict=True) if row < end)
    return next(collection.read.format.embeddings(path, {uri: ImageUri(uri)}), None)


def _failure(names: Sequence[str], path: str) -> Failure | None:
    with opened(path) as f:
        for line in f:
            entry = json.loads(line)
            if entry["uri"] in names:
                told = {name: entry[name] for name in ("stage", "reason", "kind", "error", "message", "attempts")}
                return Failure(ImageUri(entry["uri"], version=entry["version"]), **told)
    return None


def cosine_of(a: np.ndarray, b: np.ndarray) -> float:
    """Return the cosine of two vectors: float [D] twice -> -1 to 1; 0 for one without a direction."""
    x, y = unit_vectors(np.stack([a, b])).astype(np.float64)
    return float(x @ y)


def neighbours_of(vector: np.ndarray, stored: Stored, matrix: Matrix, top: int) -> list[tuple[float, str]]:
    """Return the cosines and the uris of the nearest rows to a vector, but for the image's own row."""
    (near,) = nearest(matrix.vectors, unit_vectors(vector[None]), top, [stored.row])
    uris = matrix.uris_of([one.row for one in near])
    return [(one.cosine, uri) for one, uri in zip(near, uris, strict=True)]
