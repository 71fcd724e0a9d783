"""Fetch what differs from what stands: the fetch, with a comparison before it and one after it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam

from transforms.core.elements import Image, ImageUri
from transforms.core.failures import Failure
from transforms.core.stage import Stage, typed
from transforms.update.after_fetch import SettleSameBytes, settle_unchanged
from transforms.update.compare import Note, Rules, Settled
from transforms.update.compare_uris import CompareUris
from transforms.update.known import Known, KnownFile, ReadKnown


class Standing(NamedTuple):
    """What is known of one collection, as PCollections: one `Known`, and what the run settled and noted."""

    known: beam.PCollection[Known]
    settled: beam.PCollection[Settled]
    notes: beam.PCollection[Note]


class FetchedDiffering(NamedTuple):
    """Outputs of `FetchDiffering`; `standing` is by the name of the collection."""

    images: beam.PCollection[Image]
    unfetched: beam.PCollection[Failure]
    standing: Mapping[str, Standing]


@dataclasses.dataclass
class FetchDiffering(Stage):
    """Fetch the images that a collection does not have: ImageUri -> FetchedDiffering(Image, Failure, Standing).

    Args:
      fetch: the transform that fetches: ImageUri -> (Image, ImageUri of an image that has not changed, Failure).
      rules: how to compare with each collection.
      files: the files of each collection, by their numbers.
    """

    takes = ImageUri

    fetch: beam.PTransform
    rules: Sequence[Rules]
    files: Sequence[Sequence[KnownFile]]

    def expand(self, uris: beam.PCollection[ImageUri]) -> FetchedDiffering:
        if not any(self.files):
            images, _, unfetched = uris | "Fetch" >> self.fetch
            return FetchedDiffering(images, unfetched, {})
        known = [
            uris.pipeline | f"Known_{rules.name}" >> ReadKnown(files, {rules.format_name: rules.format})
            for rules, files in zip(self.rules, self.files, strict=True)
        ]
        uris, before, notes = uris | "Compare" >> CompareUris(self.rules, known)
        images, unchanged, unfetched = uris | "Fetch" >> self.fetch
        still = unchanged | "SettleUnchanged" >> beam.FlatMap(settle_unchanged, self.rules[0].retry)
        images, after = images | "SettleSameBytes" >> SettleSameBytes()
        settled = (before, typed(still, Settled), after) | "Settled" >> beam.Flatten()
        standing = {
            rules.name: Standing(one, _of(settled, rules.name, "Settled"), _of(notes, rules.name, "Notes"))
            for rules, one in zip(self.rules, known, strict=True)
        }
        return FetchedDiffering(images, unfetched, standing)


def _of(found: Any, collection: str, what: str) -> Any:
    return found | f"{what}_{collection}" >> beam.Filter(lambda one: one.collection == collection)


@dataclasses.dataclass
class NeededBy(beam.PTransform):
    """Keep what a collection needs: anything with a `source` -> the same.

    Args:
      collection: name of the collection in this run.
    """

    collection: str

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, found: Any) -> Any:
        return typed(found | beam.Filter(is_needed, self.collection), found.element_type)


def is_needed(element: Any, collection: str) -> bool:
    """Whether a collection needs an image, or has to be told of its loss."""
    held = element.source.held
    return held is None or collection in held
