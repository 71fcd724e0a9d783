"""What is settled once storage was asked: images that have not changed, or whose bytes are the same."""

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import apache_beam as beam

from transforms.core.counters import count
from transforms.core.elements import Image, ImageUri
from transforms.core.stage import Stage, typed
from transforms.update.compare import Settled
from transforms.update.compare_uris import SETTLED, settled_apart
from transforms.update.known import sha256_start
from transforms.update.outcomes import Outcome, outcome_of, outcome_of_bytes


def settle_unchanged(source: ImageUri, retry: str) -> Iterator[Settled]:
    """Decide what is done about an image that its storage says is still of the known version."""
    for name, held in (source.held or {}).items():
        outcome = outcome_of(held, source.version, retry)
        assert outcome is not Outcome.FETCH, f"{source.uri} was asked for a version that is not known: {source.version}"
        count("uris-settled")
        yield Settled.of(name, outcome, source, held)


def settle_same_bytes(image: Image) -> Iterator[Image | Settled]:
    """Decide what is done about an image by its bytes: it goes on for the collections that do not have them."""
    source = image.source
    if not any(held.row or held.part for held in (source.held or {}).values()):
        yield image
        return
    sha256 = sha256_start(hashlib.sha256(image.data).hexdigest())
    left = {}
    for name, held in (source.held or {}).items():
        outcome = outcome_of_bytes(held, sha256, source.version)
        if outcome is Outcome.FETCH:
            left[name] = held
        else:
            count("uris-settled")
            yield Settled.of(name, outcome, source, held)
    if left:
        yield dataclasses.replace(image, source=dataclasses.replace(source, held=left))


class Differing(NamedTuple):
    """Outputs of `SettleSameBytes`."""

    images: beam.PCollection[Image]
    settled: beam.PCollection[Settled]


@dataclasses.dataclass
class SettleSameBytes(Stage):
    """Settle images whose bytes a collection has: Image -> Differing(Image, Settled)."""

    takes = Image

    def expand(self, images: beam.PCollection[Image]) -> Differing:
        found = images | beam.FlatMap(lambda image: settled_apart(settle_same_bytes(image))).with_outputs(
            SETTLED, main="images"
        )
        return Differing(typed(found.images, Image), typed(found[SETTLED], Settled))
