"""The command with stages that neither fetch, decode nor embed: reading, comparing, writing and committing are left.

python -m benchmarks.scale.unembedded --input list.csv --output out --backbone MobileNetV2 --weights random
"""

import sys
from typing import Any

import apache_beam as beam
import numpy as np

import pipelines.embed_images
import pipelines.plan.stages
from pipelines.command import main
from pipelines.plan.plan import Plan, Target
from transforms.core.counters import count
from transforms.core.elements import Embedding, Image, ImageFacts, ImageUri, Pixels
from transforms.core.failures import Failure
from transforms.core.stage import typed
from transforms.decode.images import Decoded
from transforms.embed.canary import Canary, Computed
from transforms.embed.images import Embedded, worker_of
from transforms.fetch.images import Fetched

FACTS = ImageFacts(500, 375, "JPEG", "0" * 64)
VECTORS = 1024
"""Different vectors that are given out, each in many lengths."""


class Unfetched(beam.PTransform):
    """Give each image no bytes: ImageUri -> Fetched."""

    def expand(self, uris: Any) -> Fetched:
        images = uris | beam.Map(lambda source: Image(source, b"")).with_output_types(Image)
        return Fetched(images, _none(uris, "Unchanged", ImageUri), _none(uris, "Unfetched", Failure))


class Undecoded(beam.PTransform):
    """Give each image no pixels: Image -> Decoded."""

    def expand(self, images: Any) -> Decoded:
        pixels = images | beam.Map(lambda image: Pixels(image.source, FACTS, {})).with_output_types(Pixels)
        return Decoded(pixels, _none(images, "Undecoded", Failure))


class MadeUp(beam.PTransform):
    """Give each image one of a few random vectors: Pixels -> Embedded.

    Args:
      plan: the run's plan.
      target: the collection.
    """

    def __init__(self, plan: Plan, target: Target):
        super().__init__()
        self._target = target

    def expand(self, pixels: Any) -> Embedded:
        vectors = np.random.default_rng(0).standard_normal((VECTORS, self._target.spec.dim), np.float32)
        computed = Computed(Canary(vectors[:8]), worker_of(self._target.backbone, "CPU"))

        def embedded(one: Pixels) -> Embedding:
            count("images-embedded")
            number = hash(one.source.uri)
            return Embedding(one.source, one.facts, vectors[number % VECTORS] * np.float32(1 + number % 8191 / 8191))

        canaries = pixels.pipeline | "Canary" >> beam.Create([computed])
        embeddings = pixels | beam.Map(embedded).with_output_types(Embedding)
        return Embedded(embeddings, _none(pixels, "Unembedded", Failure), typed(canaries, Computed))


def _none(values: Any, name: str, element: type) -> Any:
    return typed(values.pipeline | name >> beam.Create([]), element)


if __name__ == "__main__":
    pipelines.plan.stages.fetch_of = lambda plan: Unfetched()
    pipelines.embed_images.decode_of = lambda plan: Undecoded()
    pipelines.embed_images.embed_of = MadeUp
    sys.exit(main())
