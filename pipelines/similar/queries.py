"""The images that others are compared with: rows of the collection, or photos that are embedded as its rows were."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipelines.options.commands.similar import Settings
from pipelines.plan.stages import fetch_within
from pipelines.similar.collection import Collection
from pipelines.similar.embedder import collection_backbone, embedder_of
from pipelines.similar.matrix import Matrix
from transforms import EmbeddingSpec, Pixels
from transforms.core.elements import ImageUri
from transforms.core.errors import ImageError, UsageError
from transforms.decode.images import decode_from_spec
from transforms.measure.cosines import unit_vectors
from transforms.storage.gcs import check_access
from transforms.storage.paths import canonical_uri, is_file, scheme_of


class Query(NamedTuple):
    """An image that others are compared with.

    Attributes:
      uri: its one uri.
      row: its row in the collection; None for a photo that is not in it.
      vector: its `unit_vectors`, float32 [D].
    """

    uri: str
    row: int | None
    vector: np.ndarray


def queries_of(settings: Settings, collection: Collection, matrix: Matrix) -> list[Query]:
    """Return what --to names, in its order: the vectors of rows, and those of photos that are embedded now.

    Raises:
      UsageError: an image is not there or cannot be embedded, or the embeddings could not be compared.
      RunError: this machine computes otherwise than the one that made the collection.
    """
    rows = {to: named_row(to, matrix) for to in dict.fromkeys(settings.to)}
    photos = [to for to, (_, row) in rows.items() if row is None]
    embedded = dict(zip(photos, _embedded(photos, settings, collection), strict=True)) if photos else {}
    return [
        Query(uri, row, embedded[to] if row is None else np.array(matrix.vectors[row]))
        for to, (uri, row) in rows.items()
    ]


def named_row(to: str, matrix: Matrix) -> tuple[str, int | None]:
    """Return the one uri of an image that a person names, and its row; None if it has none."""
    uri = canonical_uri(to)
    for name in dict.fromkeys((to, uri)):
        if (row := matrix.row_of(name)) is not None:
            return name, row
    return uri, None


def _embedded(photos: Sequence[str], settings: Settings, collection: Collection) -> np.ndarray:
    """Embed photos as a collection was: paths -> float32 [N, D], of unit length."""
    pixels = [_pixels_of(photo, settings, collection.spec) for photo in photos]
    backbone = collection_backbone(collection.spec, settings.weights, settings.engine, settings.trust_model)
    outcomes, _ = embedder_of(collection, backbone, settings.max_image_pixels)(pixels)
    vectors = []
    for photo, (_, outcome) in zip(photos, outcomes, strict=True):
        if isinstance(outcome, ImageError):
            raise UsageError(f"--to {photo} cannot be embedded: {outcome}")
        vectors.append(outcome.embedding)
    return unit_vectors(np.stack(vectors))


def _pixels_of(photo: str, settings: Settings, spec: EmbeddingSpec) -> Pixels:
    check_access([photo])
    uri = canonical_uri(photo)
    if not scheme_of(uri) and not is_file(uri):
        raise UsageError(f"--to {photo} is neither a file nor a uri of the collection")
    try:
        image = fetch_within(settings).function(ImageUri(uri))
        return decode_from_spec(spec, settings.max_image_pixels)(image)
    except ImageError as e:
        raise UsageError(f"--to {photo} cannot be used: {e.reason}: {e}") from e
