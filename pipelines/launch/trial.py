"""Try a plan on a few of its images, in this process and without writing anything."""

import dataclasses
import os
import statistics
import time
from collections.abc import Iterator

from pipelines.plan.plan import Plan, Target, loadable_here
from pipelines.plan.run_stats import Speed
from pipelines.plan.stages import decode_of, fetch_of
from transforms.backbones import load_backbone
from transforms.core.elements import ImageUri, Pixels
from transforms.core.errors import ImageError
from transforms.embed.batches import BatchEmbedder

TRIED = 5
"""Maximum number of images to try."""
TIMED = 8
"""Images in the forward pass that is timed."""


@dataclasses.dataclass
class Trial:
    """What became of the first images of a plan.

    Attributes:
      inputs: number of all inputs.
      tried: number of inputs that were tried.
      pixels: pixels of the images that could be decoded.
      sizes: sizes of the images that could be fetched, in bytes.
      decoding: seconds that decoding each image took.
      embedders: one for each backbone that has embedded.
    """

    inputs: int
    tried: int
    pixels: list[Pixels] = dataclasses.field(default_factory=list)
    sizes: list[int] = dataclasses.field(default_factory=list)
    decoding: list[float] = dataclasses.field(default_factory=list)
    embedders: list[BatchEmbedder] = dataclasses.field(default_factory=list)

    def embed(self, plan: Plan, target: Target) -> int:
        """Embed the pixels with a target's backbone; return how many images succeeded."""
        engine = load_backbone(loadable_here(target.backbone, plan.where))
        embedder = BatchEmbedder(engine, target.backbone.size, TRIED, target.backbone.top_k)
        self.embedders.append(embedder)
        return sum(not isinstance(result, ImageError) for result in embedder(self.pixels))

    def speed(self) -> Speed:
        """Return the speed of this machine, measured after a forward pass that does not count."""
        pixels = (self.pixels * TIMED)[:TIMED]
        return Speed(statistics.median(self.decoding), sum(_forward_seconds(e, pixels) for e in self.embedders))


def try_first_images(plan: Plan) -> tuple[Trial, Iterator[str]]:
    """Return a trial, and the lines that say what becomes of each image while it is fetched and decoded."""
    inputs, first = 0, list[ImageUri]()
    for row in plan.source.rows():
        inputs += 1
        if row and len(first) < TRIED:
            first.append(row)
    trial = Trial(inputs, tried=len(first))
    return trial, _read(plan, trial, first)


def _read(plan: Plan, trial: Trial, first: list[ImageUri]) -> Iterator[str]:
    fetch, decode = fetch_of(plan).function, decode_of(plan).function
    for uri in first:
        try:
            image = fetch(uri)
            trial.sizes.append(len(image.data))
            started = time.perf_counter()
            pixels = decode(image)
            trial.decoding.append(time.perf_counter() - started)
            trial.pixels.append(pixels)
            yield f"  read    {uri.uri}: {pixels.facts.width} x {pixels.facts.height} {pixels.facts.format}"
        except ImageError as e:
            yield f"  failed  {uri.uri}: {e.reason}: {e}"


def _forward_seconds(embedder: BatchEmbedder, pixels: list[Pixels]) -> float:
    """Return the core-seconds that an image takes."""
    embedder.batch_size = len(pixels)
    list(embedder(pixels))
    started = time.perf_counter()
    list(embedder(pixels))
    return (time.perf_counter() - started) * (os.cpu_count() or 1) / len(pixels)
