"""A backbone that needs no engine, the pixels that it takes, and a spec of vectors."""

from typing import Any

import numpy as np

from transforms import EmbeddingSpec, ImageFacts, ImageUri, Pixels

SIZE = (2, 2)
FACTS = ImageFacts(2, 2, "PNG", "00")


def pixels(value: int, size: tuple[int, int] = SIZE) -> Pixels:
    return Pixels(ImageUri(str(value)), FACTS, {size: np.full((*size, 3), value, np.uint8)})


def spec(**changes: Any) -> EmbeddingSpec:
    """Return the spec of some vectors of two numbers, with other values where they matter."""
    values = {
        "backbone": "MobileNetV2",
        "backbone_kwargs": {},
        "weights": "random",
        "weights_sha256": "",
        "output": "avg",
        "classifier_activation": None,
        "image_size": (224, 224),
        "decoded_for": (224, 224),
        "resize": "crop",
        "resize_filter": "bilinear",
        "pixels_policy": "srgb-3",
        "precision": "float32",
        "normalize": False,
        "embedding_dtype": "float32",
        "dim": 2,
    }
    return EmbeddingSpec(**{**values, **changes})


class FakeBackbone:
    """Embeds an image as its mean and its double; chokes on some values, and on batches above its memory."""

    device = "CPU"
    device_memory = 0
    devices = 1
    batches_in_flight = 1

    def __init__(self, poison: tuple[int, ...] = (), memory: int = 1000):
        self.poison, self.memory = poison, memory
        self.shapes: list[tuple[int, ...]] = []

    def smallest_batch(self, batch_size: int) -> int:
        return 1

    def __call__(self, batch: np.ndarray, index: int = 0) -> np.ndarray:
        self.shapes.append(batch.shape)
        if len(batch) > self.memory:
            raise MemoryError("no room")
        means = batch.mean(axis=(1, 2, 3)).astype(np.float32)
        if np.isin(means, self.poison).any():
            raise ValueError("poison")
        return np.stack([means, 2 * means], axis=1)
