"""A backbone that needs no engine, and the pixels that it takes."""

import numpy as np

from transforms import ImageFacts, ImageUri, Pixels

SIZE = (2, 2)
FACTS = ImageFacts(2, 2, "PNG", "00")


def pixels(value: int, size: tuple[int, int] = SIZE) -> Pixels:
    return Pixels(ImageUri(str(value)), FACTS, {size: np.full((*size, 3), value, np.uint8)})


class FakeBackbone:
    """Embeds an image as its mean and its double; chokes on some values, and on batches above its memory."""

    device = "CPU"
    device_memory = 0
    devices = 1
    batches = 1

    def __init__(self, poison: tuple[int, ...] = (), memory: int = 1000):
        self.poison, self.memory = poison, memory
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, batch: np.ndarray, index: int = 0) -> np.ndarray:
        self.shapes.append(batch.shape)
        if len(batch) > self.memory:
            raise MemoryError("no room")
        means = batch.mean(axis=(1, 2, 3)).astype(np.float32)
        if np.isin(means, self.poison).any():
            raise ValueError("poison")
        return np.stack([means, 2 * means], axis=1)
