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
from transforms.backbones.engines import version_of
from transforms.backbones.engines.devices import model_of
from transforms.core.counters import count
from transforms.core.elements import Embedding, ImageUri, Pixels
from transforms.core.errors import ImageError
from transforms.core.failures import FAILURES, Failure, failed
from transforms.core.stage import Stage, check_element, check_sizes, typed
from transforms.core.thread_map import ThreadMap
from transforms.embed.batch_sizes import CPU_BATCH, GPU_BATCH, default_batch_size, gpu_batch_size
from transforms.embed.batches import BatchEmbedder
from transforms.embed.canary import Canary, Computed, Worker, check, thinned

CANARIES = "canaries"


class Embedded(NamedTuple):
    """Outputs of `EmbedImages`; the canary of a process comes once a bundle, for `CompareCanaries`."""

    embeddings: beam.PCollection[Embedding]
    unembedded: beam.PCollection[Failure]
    canaries: beam.PCollection[Computed]


Outcome = tuple[ImageUri, Embedding | ImageError]


@dataclasses.dataclass
class Loaded:
    """A backbone in a process, and what it has proven to compute."""

    embedder: BatchEmbedder
    computed: Computed


class EmbedBatch:
    """Embed a batch with a backbone, loaded once per process: Pixels -> (source, Embedding or ImageError), Computed."""

    def __init__(self, settings: "EmbedImages"):
        # The values, not the transform: Beam's transforms are not made to be pickled.
        self._backbone, self._load, self._dtype = settings.backbone, settings.load, settings.embedding_dtype
        self._batch_size, self._require_gpu = settings.batch_size, settings.require_gpu
        self._canary, self._decoding = settings.canary, settings.decoding
        self._shared = Shared()
        self._loaded: Loaded | None = None

    def __call__(self, batch: Sequence[Pixels]) -> tuple[list[Outcome], Computed]:
        for pixels in batch:
            check_element(pixels, Pixels, "EmbedImages")
            check_sizes(pixels, self._backbone.size)
        loaded = self.loaded()
        # Only the source is kept: pixels must not outlive their batch.
        results = zip(batch, loaded.embedder(batch), strict=True)
        return [(pixels.source, result) for pixels, result in results], loaded.computed

    def loaded(self) -> Loaded:
        """Return the backbone that all copies of this object in a process share.

        Raises:
          RuntimeError: a GPU is required, and there is none.
          RunError: this process computes otherwise than it must.
        """
        # A reference of its own: Beam's Shared may keep only one of several objects alive.
        self._loaded = self._loaded or self._shared.acquire(self._newly_loaded)
        return self._loaded

    def _newly_loaded(self) -> Loaded:
        backbone = self._backbone.for_this_machine()
        embed, size = self._load(backbone), backbone.size
        on_gpu = embed.device == "GPU"
        if self._require_gpu and not on_gpu:
            raise RuntimeError("a GPU is required, and TensorFlow sees none on this worker")
        # May be smaller than the batches gathered: the launcher could not know the memory of this worker's GPU.
        fitting = gpu_batch_size(size, embed.device_memory) if on_gpu else default_batch_size(size)
        embedder = BatchEmbedder(embed, size, self._batch_size or fitting, backbone.top_k, self._dtype)
        canary = Canary(thinned(embedder.reference_vectors()), self._decoding() if self._decoding else "")
        computed = Computed(canary, worker_of(backbone, embed.device))
        check(computed, self._canary, backbone.precision)
        return Loaded(embedder, computed)


def worker_of(backbone: Backbone, device: str) -> Worker:
    """Return what computes a backbone in this process."""
    engine = backbone.engine
    return Worker(engine, version_of(engine), device, model_of(device), backbone.rewrites)


class _Split(beam.DoFn):
    """Divide the outcomes of a batch: (outcomes, Computed) -> Embedding, Failure, and once a bundle the Computed."""

    def start_bundle(self) -> None:
        self._told = False

    def process(self, result: tuple[list[Outcome], Computed]) -> Iterator[Any]:
        outcomes, computed = result
        for source, outcome in outcomes:
            if isinstance(outcome, ImageError):
                yield failed(source, "embed", outcome)
            else:
                count("images-embedded")
                yield outcome
        # What a bundle that fails has told is lost, so once a process would not do.
        if not self._told:
            self._told = True
            yield beam.pvalue.TaggedOutput(CANARIES, computed)


@dataclasses.dataclass
class EmbedImages(Stage):
    """Embed images: Pixels -> Embedded(Embedding, Failure, Computed), each vector float32 or float16 [D].

    Args:
      backbone: the backbone with its weights and output; loaded on first use, once per process.
      batch_size: images in a forward pass; the default depends on the image size and, on a GPU, on its memory.
      embedding_dtype: type of the vectors, 'float32' or 'float16'.
      require_gpu: fail if TensorFlow sees no GPU.
      canary: what the collection's first run computed; a process that computes otherwise fails before it embeds.
      decoding: function that hashes what this process decodes, see `transforms.decode.canary`; None compares nothing.
      load: function that loads the backbone on a worker.
    """

    takes = Pixels

    backbone: Backbone = dataclasses.field(default_factory=Backbone)
    batch_size: int | None = None
    embedding_dtype: str = "float32"
    require_gpu: bool = False
    canary: Canary | None = None
    decoding: Callable[[], str] | None = None
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
        results = batches | beam.ParDo(ThreadMap(embed, None, lookahead, prepare=embed.loaded))
        outcomes = results | beam.ParDo(_Split()).with_outputs(FAILURES, CANARIES, main="embeddings")
        return Embedded(
            typed(outcomes.embeddings, Embedding),
            typed(outcomes[FAILURES], Failure),
            typed(outcomes[CANARIES], Computed),
        )
