"""Names of the classes that the top of a backbone predicts."""

import functools

import numpy as np

from transforms.backbones.graph.keras_applications import keras
from transforms.backbones.weights.keras_download import keras_download

IMAGENET_CLASSES = 1000

Classes = tuple[tuple[str, str, float], ...]
"""(id, name, score) of an image's classes, best first."""


def top_classes(scores: np.ndarray, k: int) -> list[Classes]:
    """Name the best classes of each image: float32 [B, D] -> B tuples of at most `k` (id, name, score).

    Ids are WordNet's for a top of 1,000 classes; the classes of any other top are known by their index.

    Raises:
      UsageError: Keras' list of class names is not in its folder and cannot be downloaded.
    """
    names = _names(scores.shape[1])
    best = np.argsort(-scores, axis=1)[:, :k]
    return [tuple((*names[i], float(row[i])) for i in order) for row, order in zip(scores, best, strict=True)]


@functools.cache
def _names(classes: int) -> list[tuple[str, str]]:
    if classes != IMAGENET_CLASSES:
        return [(str(i), str(i)) for i in range(classes)]
    descending = -np.arange(IMAGENET_CLASSES, dtype=np.float32)
    with keras_download("the ImageNet class names", "run without --top_k"):
        (named,) = keras.applications.imagenet_utils.decode_predictions(descending[None], top=IMAGENET_CLASSES)
    return [(wnid, name) for wnid, name, _ in named]
