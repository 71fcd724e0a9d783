"""The names of the classes that a top predicts."""

import numpy as np

from transforms.backbones.keras_applications import keras
from transforms.backbones.weights import keras_download

IMAGENET_CLASSES = 1000

Classes = tuple[tuple[str, str, float], ...]
"""(id, name, score) of an image's classes, best first."""


def top_classes(scores: np.ndarray, k: int) -> list[Classes]:
    """Name the best classes of each image: float32 [B, D] -> B times at most k of (id, name, score).

    The ids are WordNet's where the top is ImageNet's; another top's classes are known by their index.

    Raises:
      UsageError: Keras' list of class names is neither in its cache nor to be downloaded.
    """
    if scores.shape[1] == IMAGENET_CLASSES:
        with keras_download("the ImageNet class names", "run without --top_k"):
            named = keras.applications.imagenet_utils.decode_predictions(scores, top=k)
        return [tuple((wnid, name, float(score)) for wnid, name, score in row) for row in named]
    best = np.argsort(-scores, axis=1)[:, :k]
    return [tuple((str(i), str(i), float(row[i])) for i in order) for row, order in zip(scores, best, strict=True)]
