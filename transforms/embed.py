"""Embed pixels with a backbone, in batches of few, fixed shapes.

Batching, sharing the model and load metrics are `RunInference`'s. What it would give up with a batch is handled here:
a batch that fails is halved, down to the image that makes it fail; a batch too big for the device is halved for good.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.ml.inference.base import ModelHandler, RunInference

from transforms.backbones import Backbone, has_gpu, load_backbone, name_classes
from transforms.counters import count, timed
from transforms.elements import Embedding, Pixels, Size
from transforms.errors import one_line
from transforms.failures import FAILURES, ImageError, failed


class Embedded(NamedTuple):
    """What `EmbedImages` gives: Embedding, Failure."""

    embeddings: Any
    unembedded: Any


CPU_BATCH, GPU_BATCH = 64, 256
"""Images of 224 x 224 px in a batch at most: enough that what happens between two batches does not count."""


def default_batch_size(size: Size, images: float = CPU_BATCH) -> int:
    """Return the power of two nearest to so many images of 224 x 224 px, for images of another size."""
    height, width = size
    return int(2 ** max(0, round(math.log2(images * 224 * 224 / (height * width)))))


def gpu_batch_size(size: Size, memory: int) -> int:
    """Return how many images to begin with on a GPU: 32 of 224 x 224 px for each 4 GiB; out of memory halves it."""
    return default_batch_size(size, min(max(32 * memory / (4 << 30), 1), GPU_BATCH))


def padded(images: Sequence[np.ndarray], batch_size: int) -> np.ndarray:
    """Stack images, the last one up to a power of two or to `batch_size`: N x uint8 [H, W, 3] -> uint8 [M, H, W, 3]."""
    rows = min(1 << (len(images) - 1).bit_length(), max(batch_size, len(images)))
    return np.stack([*images, *[images[-1]] * (rows - len(images))])


@dataclasses.dataclass
class BatchEmbedder:
    """Embed batches, whatever happens to them: Pixels -> Embedding or ImageError, in order.

    Args:
      embed: uint8 [B, H, W, 3] -> float32 [B, D]; may raise anything, MemoryError or OutOfMemoryError for size.
      size: of the pixels that it takes.
      batch_size: images a call at most; smaller after the device ran out of memory.
      top_k: classes to name.
      dtype: of the vectors, 'float32' or 'float16'.
    """

    embed: Callable[[np.ndarray], np.ndarray]
    size: Size
    batch_size: int
    top_k: int = 0
    dtype: str = "float32"

    def __call__(self, batch: Sequence[Pixels]) -> Iterator[Embedding | ImageError]:
        fit = [pixels for pixels in batch if self.size in pixels.by_size]
        results = iter(self._vectors([pixels.by_size[self.size] for pixels in fit]))
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

    def _vectors(self, images: list[np.ndarray]) -> list[np.ndarray | ImageError]:
        if not images:
            return []
        if len(images) > self.batch_size:
            return self._halves(images)
        try:
            with timed("forward-busy-us"):
                vectors = list(self.embed(padded(images, self.batch_size))[: len(images)])
            count(f"batches-on-{getattr(self.embed, 'device', 'CPU').lower()}")
            return vectors
        except Exception as e:
            if isinstance(e, MemoryError) or type(e).__name__ == "OutOfMemoryError":
                if len(images) > 1:
                    self.batch_size = min(self.batch_size, len(images) // 2)
                    count("batches-halved")
                    return self._vectors(images)
                return [_caused(ImageError("out_of_memory", one_line(e), transient=True), e)]
            if len(images) > 1:
                return self._halves(images)
            return [_caused(ImageError("inference", one_line(e)), e)]

    def _halves(self, images: list[np.ndarray]) -> list[np.ndarray | ImageError]:
        half = 1 << ((len(images) - 1).bit_length() - 1)
        return self._vectors(images[:half]) + self._vectors(images[half:])


def _caused(error: ImageError, cause: Exception) -> ImageError:
    error.__cause__ = cause
    return error


class BackboneHandler(ModelHandler[Pixels, Any, BatchEmbedder]):
    """Let RunInference load a backbone and batch for it."""

    def __init__(self, settings: "EmbedImages"):
        super().__init__()
        # Not the transform itself: Beam's transforms are not made to travel.
        self._backbone, self._load, self._dtype = settings.backbone, settings.load, settings.embedding_dtype
        self._batch_size, self._gathered = settings.batch_size, settings.images_a_batch
        self._require_gpu = settings.require_gpu

    def load_model(self) -> BatchEmbedder:
        embed, size = self._load(self._backbone), self._backbone.size
        on_gpu, memory = getattr(embed, "device", "CPU") == "GPU", getattr(embed, "device_memory", 0)
        if self._require_gpu and not on_gpu:
            raise RuntimeError("a GPU is required, and TensorFlow sees none on this worker")
        # Fewer than are gathered, where the machine that gave the job away could not know this one's memory.
        fitting = gpu_batch_size(size, memory) if on_gpu else default_batch_size(size)
        return BatchEmbedder(embed, size, self._batch_size or fitting, self._backbone.top_k, self._dtype)

    def run_inference(
        self, batch: Sequence[Pixels], model: BatchEmbedder, inference_args: dict[str, Any] | None = None
    ) -> Iterable[tuple[Any, Embedding | ImageError]]:
        # The source alone rides along: pixels must not outlive their batch.
        return [(pixels.source, result) for pixels, result in zip(batch, model(batch), strict=True)]

    def get_num_bytes(self, batch: Sequence[Pixels]) -> int:
        return sum(array.nbytes for pixels in batch for array in pixels.by_size.values())

    def get_metrics_namespace(self) -> str:
        return "embed-images"

    def batch_elements_kwargs(self) -> dict[str, Any]:
        return {"min_batch_size": self._gathered, "max_batch_size": self._gathered}


def _split(result: tuple[Any, Embedding | ImageError]) -> Any:
    source, outcome = result
    if isinstance(outcome, ImageError):
        return failed(source, "embed", outcome)
    count("images-embedded")
    return outcome


@dataclasses.dataclass
class EmbedImages(beam.PTransform):
    """Embed images: Pixels -> Embedded(Embedding, Failure), each vector float32 or float16 [D].

    Args:
      backbone: which, with which weights and output; loaded lazily, once a process.
      batch_size: images a forward pass; default by the image size, on a GPU also by its memory.
      embedding_dtype: of the vectors, 'float32' or 'float16'.
      require_gpu: fail where TensorFlow sees no GPU.
      load: how a worker gets the backbone: Backbone -> (uint8 [B, H, W, 3] -> float32 [B, D]).
    """

    backbone: Backbone = dataclasses.field(default_factory=Backbone)
    batch_size: int | None = None
    embedding_dtype: str = "float32"
    require_gpu: bool = False
    load: Callable[[Backbone], Callable[[np.ndarray], np.ndarray]] = load_backbone

    def __post_init__(self) -> None:
        super().__init__()
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, is {self.batch_size}")

    @functools.cached_property
    def images_a_batch(self) -> int:
        """Images that are gathered for a forward pass at most."""
        on_gpu = self.require_gpu or has_gpu()
        return self.batch_size or default_batch_size(self.backbone.size, GPU_BATCH if on_gpu else CPU_BATCH)

    def expand(self, pixels: Any) -> Any:
        outcomes = (
            pixels | RunInference(BackboneHandler(self)) | beam.Map(_split).with_outputs(FAILURES, main="embeddings")
        )
        return Embedded(outcomes.embeddings, outcomes[FAILURES])
