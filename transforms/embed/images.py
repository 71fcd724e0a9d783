"""Embed pixels with a backbone, in batches of a few fixed shapes.

A batch is computed in a thread while the next one is gathered; Beam's `RunInference` would wait.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.utils.shared import Shared

from transforms.backbones import Backbone, Engine, count_gpus, has_gpu, load_backbone
from transforms.core.counters import count
from transforms.core.elements import Embedding, ImageUri, Pixels
from transforms.core.errors import ImageError
from transforms.core.failures import FAILURES, Failure, failed
from transforms.core.stage import Stage, check_element, check_sizes, typed
from transforms.core.thread_map import ThreadMap
from transforms.embed.batch_sizes import CPU_BATCH, GPU_BATCH, default_batch_size, gpu_batch_size
from transforms.embed.batches import BatchEmbedder


class Embedded(NamedTuple):
    """Outputs of `EmbedImages`."""

    embeddings: beam.PCollection[Embedding]
    unembedded: beam.PCollection[Failure]


Outcome = tuple[ImageUri, Embedding | ImageError]


class EmbedBatch:
    """Embed a batch with a backbone, loaded once per process: Pixels -> (source, Embedding or ImageError)."""

    def __init__(self, settings: "EmbedImages"):
        # The values, not the transform: Beam's transforms are not made to be pickled.
        self._backbone, self._load, self._dtype = settings.backbone, settings.load, settings.embedding_dtype
        self._batch_size, self._require_gpu = settings.batch_size, settings.require_gpu
        self._shared = Shared()
        self._embedder: BatchEmbedder | None = None

    def __call__(self, batch: Sequence[Pixels]) -> list[Outcome]:
        for pixels in batch:
            check_element(pixels, Pixels, "EmbedImages")
            check_sizes(pixels, self._backbone.size)
        # Only the source is kept: pixels must not outlive their batch.
        return [(pixels.source, result) for pixels, result in zip(batch, self.embedder()(batch), strict=True)]

    def embedder(self) -> BatchEmbedder:
        """Return the embedder that all copies of this object in a process share.

        Raises:
          RuntimeError: a GPU is required, and there is none.
        """
        # A reference of its own: Beam's Shared may keep only one of several objects alive.
        self._embedder = self._embedder or self._shared.acquire(self._new_embedder)
        return self._embedder

    def _new_embedder(self) -> BatchEmbedder:
        embed, size = self._load(self._backbone), self._backbone.size
        on_gpu = embed.device == "GPU"
        if self._require_gpu and not on_gpu:
            raise RuntimeError("a GPU is required, and TensorFlow sees none on this worker")
        # May be smaller than the batches gathered: the launcher could not know the memory of this worker's GPU.
        fitting = gpu_batch_size(size, embed.device_memory) if on_gpu else default_batch_size(size)
        return BatchEmbedder(embed, size, self._batch_size or fitting, self._backbone.top_k, self._dtype)


def _split(results: list[Outcome]) -> Iterator[Any]:
    for source, outcome in results:
        if isinstance(outcome, ImageError):
            yield failed(source, "embed", outcome)
        else:
            count("images-embedded")
            yield outcome


@dataclasses.dataclass
class EmbedImages(Stage):
    """Embed images: Pixels -> Embedded(Embedding, Failure), each vector float32 or float16 [D].

    Args:
      backbone: the backbone with its weights and output; loaded on first use, once per process.
      batch_size: images in a forward pass; the default depends on the image size and, on a GPU, on its memory.
      embedding_dtype: type of the vectors, 'float32' or 'float16'.
      require_gpu: fail if TensorFlow sees no GPU.
      load: function that loads the backbone on a worker.
    """

    takes = Pixels

    backbone: Backbone = dataclasses.field(default_factory=Backbone)
    batch_size: int | None = None
    embedding_dtype: str = "float32"
    require_gpu: bool = False
    load: Callable[[Backbone], Engine] = load_backbone

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, is {self.batch_size}")

    @functools.cached_property
    def images_per_batch(self) -> int:
        """Maximum number of images that are gathered for a forward pass."""
        on_gpu = self.require_gpu or has_gpu()
        return self.batch_size or default_batch_size(self.backbone.size, GPU_BATCH if on_gpu else CPU_BATCH)

    def expand(self, pixels: beam.PCollection[Pixels]) -> Embedded:
        check_sizes(pixels, self.backbone.size)
        embed = EmbedBatch(self)
        batches = pixels | beam.BatchElements(self.images_per_batch, self.images_per_batch)
        # Each GPU of this machine computes a batch while one more waits; elsewhere several bundles fill several GPUs.
        lookahead = max(count_gpus(), 1)
        results = batches | beam.ParDo(ThreadMap(embed, None, lookahead, prepare=embed.embedder))
        outcomes = results | beam.FlatMap(_split).with_outputs(FAILURES, main="embeddings")
        return Embedded(typed(outcomes.embeddings, Embedding), typed(outcomes[FAILURES], Failure))
