"""Embed pixels with a backbone, in batches of few, fixed shapes.

A batch is computed in a thread, while the next one is gathered; Beam's `RunInference` would wait for it.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.utils.shared import Shared

from transforms.backbones import Backbone, Engine, count_gpus, has_gpu, load_backbone
from transforms.core.counters import count
from transforms.core.elements import Embedding, Pixels
from transforms.core.failures import FAILURES, ImageError, failed
from transforms.core.thread_map import ThreadMap
from transforms.embed.batches import CPU_BATCH, GPU_BATCH, BatchEmbedder, default_batch_size, gpu_batch_size


class Embedded(NamedTuple):
    """What `EmbedImages` gives: Embedding, Failure."""

    embeddings: Any
    unembedded: Any


class EmbedBatch:
    """Embed a batch by a backbone that is loaded once a process: Pixels -> (their source, Embedding or ImageError)."""

    def __init__(self, settings: "EmbedImages"):
        # Not the transform itself: Beam's transforms are not made to travel.
        self._backbone, self._load, self._dtype = settings.backbone, settings.load, settings.embedding_dtype
        self._batch_size, self._require_gpu = settings.batch_size, settings.require_gpu
        self._shared = Shared()
        self._embedder: BatchEmbedder | None = None

    def __call__(self, batch: Sequence[Pixels]) -> list[tuple[Any, Embedding | ImageError]]:
        # The source alone goes on: pixels must not outlive their batch.
        return [(pixels.source, result) for pixels, result in zip(batch, self.embedder()(batch), strict=True)]

    def embedder(self) -> BatchEmbedder:
        """Return the one that all copies of this in a process share.

        Raises:
          RuntimeError: a GPU is required, and there is none.
        """
        # Kept here, too: of several objects Beam's Shared may keep only one alive.
        self._embedder = self._embedder or self._shared.acquire(self._new_embedder)
        return self._embedder

    def _new_embedder(self) -> BatchEmbedder:
        embed, size = self._load(self._backbone), self._backbone.size
        on_gpu = embed.device == "GPU"
        if self._require_gpu and not on_gpu:
            raise RuntimeError("a GPU is required, and TensorFlow sees none on this worker")
        # Fewer than are gathered, where the machine that gave the job away could not know this one's memory.
        fitting = gpu_batch_size(size, embed.device_memory) if on_gpu else default_batch_size(size)
        return BatchEmbedder(embed, size, self._batch_size or fitting, self._backbone.top_k, self._dtype)


def _split(results: list[tuple[Any, Embedding | ImageError]]) -> Iterator[Any]:
    for source, outcome in results:
        if isinstance(outcome, ImageError):
            yield failed(source, "embed", outcome)
        else:
            count("images-embedded")
            yield outcome


@dataclasses.dataclass
class EmbedImages(beam.PTransform):
    """Embed images: Pixels -> Embedded(Embedding, Failure), each vector float32 or float16 [D].

    Args:
      backbone: which, with which weights and output; loaded lazily, once a process.
      batch_size: images a forward pass; default by the image size, on a GPU also by its memory.
      embedding_dtype: of the vectors, 'float32' or 'float16'.
      require_gpu: fail where TensorFlow sees no GPU.
      load: how a worker gets the backbone.
    """

    backbone: Backbone = dataclasses.field(default_factory=Backbone)
    batch_size: int | None = None
    embedding_dtype: str = "float32"
    require_gpu: bool = False
    load: Callable[[Backbone], Engine] = load_backbone

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
        embed = EmbedBatch(self)
        batches = pixels | beam.BatchElements(self.images_a_batch, self.images_a_batch)
        # One is next while each GPU that is here computes one; those of another machine have several bundles.
        lookahead = max(count_gpus(), 1)
        results = batches | beam.ParDo(ThreadMap(embed, None, lookahead, prepare=embed.embedder))
        outcomes = results | beam.FlatMap(_split).with_outputs(FAILURES, main="embeddings")
        return Embedded(outcomes.embeddings, outcomes[FAILURES])
