"""Embed a batch, and isolate what fails.

A batch that raises is halved, down to the image at fault. If a batch is too large for the device, later ones stay
smaller as well.
"""

import dataclasses
import logging
import time
from collections.abc import Iterator, Sequence

import numpy as np

from transforms.backbones import Engine, name_classes
from transforms.backbones.engines import OutOfMemoryError
from transforms.core.counters import count, held_back
from transforms.core.elements import Embedding, Pixels, Size
from transforms.core.errors import ImageError, one_line
from transforms.embed.batch_sizes import filled, padded
from transforms.embed.device_pool import devices_here
from transforms.embed.reference_images import reference_images

LOG = logging.getLogger(__name__)


@dataclasses.dataclass
class BatchEmbedder:
    """Embed batches: Pixels -> Embedding or ImageError, in the same order.

    Args:
      engine: the loaded backbone; may raise anything, MemoryError or OutOfMemoryError for a batch that is too large.
      size: height and width of the pixels that the engine takes.
      batch_size: maximum images in a call; shrinks when the device runs out of memory.
      top_k: number of classes to name.
      dtype: type of the vectors, 'float32' or 'float16'.
    """

    engine: Engine
    size: Size
    batch_size: int
    top_k: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        self._devices = devices_here(self.engine.devices, self.engine.batches_in_flight)
        self._ready = time.perf_counter_ns()

    def __call__(self, batch: Sequence[Pixels]) -> Iterator[Embedding | ImageError]:
        results = self._results([pixels.by_size[self.size] for pixels in batch])
        for pixels, vector in zip(batch, results, strict=True):
            if isinstance(vector, ImageError):
                yield vector
            else:
                top = name_classes(vector[None], self.top_k)[0] if self.top_k else ()
                yield Embedding(pixels.source, pixels.facts, vector.astype(self.dtype), top)

    def reference_vectors(self) -> np.ndarray:
        """Embed the reference images, in the shape of this embedder's batches: -> float32 [8, D].

        Raises:
          Exception: whatever the engine raises.
        """
        images = reference_images(self.size)
        # Before the device is reserved: it may have to compile, while another backbone computes.
        rows = max(self.engine.smallest_batch(self.batch_size), min(len(images), self.batch_size))
        batches = [images[at : at + rows] for at in range(0, len(images), rows)]
        try:
            with held_back(), self._devices.take(idle_since=self._ready) as index:
                vectors = [self.engine(filled(batch, rows), index)[: len(batch)] for batch in batches]
            return np.concatenate(vectors)
        except Exception as e:
            if not _is_out_of_memory(e) or self.batch_size == 1:
                raise
            self.batch_size //= 2
            LOG.info("no memory for the first batch; from now on %d images", self.batch_size)
            return self.reference_vectors()

    def _results(self, images: list[np.ndarray]) -> list[np.ndarray | ImageError]:
        if not images:
            return []
        # Stacked before the device is reserved, which may still compute another batch.
        stacked = np.stack(images)
        with self._devices.take(idle_since=self._ready) as index:
            return self._vectors(stacked, index)

    def _vectors(self, images: np.ndarray, index: int) -> list[np.ndarray | ImageError]:
        if len(images) > self.batch_size:
            return self._halves(images, index)
        try:
            vectors = list(self.engine(padded(images, self.batch_size), index)[: len(images)])
            count(f"batches-on-{self.engine.device.lower()}")
            return vectors
        except Exception as e:
            if _is_out_of_memory(e):
                if len(images) > 1:
                    self.batch_size = min(self.batch_size, len(images) // 2)
                    count("batches-halved")
                    LOG.info("no memory for a batch of %d images; from now on %d", len(images), self.batch_size)
                    return self._vectors(images, index)
                return [_caused(ImageError("out_of_memory", one_line(e), transient=True), e)]
            if len(images) > 1:
                LOG.info("a batch of %d images is halved, since it raised: %s", len(images), one_line(e))
                return self._halves(images, index)
            return [_caused(ImageError("inference", one_line(e)), e)]

    def _halves(self, images: np.ndarray, index: int) -> list[np.ndarray | ImageError]:
        half = 1 << ((len(images) - 1).bit_length() - 1)
        return self._vectors(images[:half], index) + self._vectors(images[half:], index)


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | OutOfMemoryError)


def _caused(error: ImageError, cause: Exception) -> ImageError:
    error.__cause__ = cause
    return error
