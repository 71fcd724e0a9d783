"""Embed a batch of pixels, whatever happens to it: its size, its padding, and what becomes of a batch that fails.

A batch that fails is halved, down to the image that makes it fail; one too big for the device is halved for good.
"""

import contextlib
import dataclasses
import math
import queue
import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np

from transforms.backbones import Engine, name_classes
from transforms.core.counters import count
from transforms.core.elements import Embedding, Pixels, Size
from transforms.core.errors import one_line
from transforms.core.failures import ImageError

CPU_BATCH, GPU_BATCH = 64, 256
"""Images of 224 x 224 px in a batch at most: enough that what happens between two batches does not count."""


def default_batch_size(size: Size, images: float = CPU_BATCH) -> int:
    """Return the power of two nearest to so many images of 224 x 224 px, for images of another size."""
    height, width = size
    return int(2 ** max(0, round(math.log2(images * 224 * 224 / (height * width)))))


def gpu_batch_size(size: Size, memory: int) -> int:
    """Return how many images to begin with on a GPU: 32 of 224 x 224 px for each 4 GiB; out of memory halves it."""
    return default_batch_size(size, min(max(32 * memory / (4 << 30), 1), GPU_BATCH))


def padded(images: np.ndarray, batch_size: int) -> np.ndarray:
    """Repeat the last image up to a power of two or to `batch_size`: uint8 [N, H, W, 3] -> uint8 [M, H, W, 3]."""
    rows = min(1 << (len(images) - 1).bit_length(), max(batch_size, len(images)))
    missing = rows - len(images)
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images


class Devices:
    """Those that a process has; all of its backbones take turns at them.

    Args:
      devices: how many.
      batches: how many each takes at the same time, in the order in which they came.
    """

    def __init__(self, devices: int, batches: int):
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in [*range(devices)] * batches:
            self._free.put(index)
        self._batches, self._ended = [0] * devices, [0] * devices
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def turn(self, ready: int) -> Iterator[int]:
        """Take a device for a batch, and give its index; count its time with the batch, and without any before it.

        Args:
          ready: since when the backbone is, in ns of time.perf_counter_ns().
        """
        index = self._free.get()
        with self._lock:
            began = time.perf_counter_ns()
            if not self._batches[index]:
                count("forward-waited-us", (began - max(self._ended[index], ready)) // 1000)
            self._batches[index] += 1
        try:
            yield index
        finally:
            with self._lock:
                # Its own time began when the one before it had ended.
                began, self._ended[index] = max(began, self._ended[index]), time.perf_counter_ns()
                count("forward-busy-us", (self._ended[index] - began) // 1000)
                self._batches[index] -= 1
            self._free.put(index)


_devices: dict[tuple[int, int], Devices] = {}


def devices_here(devices: int, batches: int) -> Devices:
    """Return the process's own, of so many with so many batches each."""
    # Of several threads that are the first to ask, one's are for all.
    return _devices.setdefault((devices, batches), Devices(devices, batches))


@dataclasses.dataclass
class BatchEmbedder:
    """Embed batches, whatever happens to them: Pixels -> Embedding or ImageError, in order.

    Args:
      embed: the backbone; may raise anything, MemoryError or OutOfMemoryError for size.
      size: of the pixels that it takes.
      batch_size: images a call at most; smaller after the device ran out of memory.
      top_k: classes to name.
      dtype: of the vectors, 'float32' or 'float16'.
    """

    embed: Engine
    size: Size
    batch_size: int
    top_k: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        self._devices = devices_here(self.embed.devices, self.embed.batches)
        self._ready = time.perf_counter_ns()

    def __call__(self, batch: Sequence[Pixels]) -> Iterator[Embedding | ImageError]:
        fit = [pixels for pixels in batch if self.size in pixels.by_size]
        results = iter(self._results([pixels.by_size[self.size] for pixels in fit]))
        for pixels in batch:
            if self.size not in pixels.by_size:
                yield ImageError("missing_size", f"decoded at {list(pixels.by_size)}, not at {self.size}")
                continue
            vector = next(results)
            if isinstance(vector, ImageError):
                yield vector
            else:
                top = name_classes(vector[None], self.top_k)[0] if self.top_k else ()
                yield Embedding(pixels.source, pixels.facts, vector.astype(self.dtype), top)

    def _results(self, images: list[np.ndarray]) -> list[np.ndarray | ImageError]:
        if not images:
            return []
        # While the device has another batch.
        stacked = np.stack(images)
        with self._devices.turn(self._ready) as index:
            return self._vectors(stacked, index)

    def _vectors(self, images: np.ndarray, index: int) -> list[np.ndarray | ImageError]:
        if len(images) > self.batch_size:
            return self._halves(images, index)
        try:
            vectors = list(self.embed(padded(images, self.batch_size), index)[: len(images)])
            count(f"batches-on-{self.embed.device.lower()}")
            return vectors
        except Exception as e:
            if isinstance(e, MemoryError) or type(e).__name__ == "OutOfMemoryError":
                if len(images) > 1:
                    self.batch_size = min(self.batch_size, len(images) // 2)
                    count("batches-halved")
                    return self._vectors(images, index)
                return [_caused(ImageError("out_of_memory", one_line(e), transient=True), e)]
            if len(images) > 1:
                return self._halves(images, index)
            return [_caused(ImageError("inference", one_line(e)), e)]

    def _halves(self, images: np.ndarray, index: int) -> list[np.ndarray | ImageError]:
        half = 1 << ((len(images) - 1).bit_length() - 1)
        return self._vectors(images[:half], index) + self._vectors(images[half:], index)


def _caused(error: ImageError, cause: Exception) -> ImageError:
    error.__cause__ = cause
    return error
