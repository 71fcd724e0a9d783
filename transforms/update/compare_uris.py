"""`CompareUris`: uris are compared with what stands, in batches, before anything is fetched."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import AsSingleton, TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from transforms.core.elements import ImageUri
from transforms.core.stage import Stage, typed
from transforms.update.compare import Comparison, Note, Rules, Settled
from transforms.update.known import Known

AT_ONCE = 1024
"""Uris that are looked up at a time."""
SETTLED, NOTES = "settled", "notes"


class Compared(NamedTuple):
    """Outputs of `CompareUris`."""

    uris: beam.PCollection[ImageUri]
    settled: beam.PCollection[Settled]
    notes: beam.PCollection[Note]


@dataclasses.dataclass
class _Compare(beam.DoFn):
    rules: Sequence[Rules]

    def __post_init__(self) -> None:
        super().__init__()

    def start_bundle(self) -> None:
        self._comparison, self._waiting, self._known = Comparison(self.rules), list[ImageUri](), tuple[Known, ...]()

    def process(self, source: ImageUri, *known: Known) -> Iterator[Any]:
        self._waiting.append(source)
        self._known = known
        if len(self._waiting) >= AT_ONCE:
            yield from self._flush()

    def _flush(self) -> Iterator[Any]:
        waiting, self._waiting = self._waiting, []
        for found in self._comparison(waiting, self._known):
            yield TaggedOutput(SETTLED, found) if isinstance(found, Settled) else found

    def finish_bundle(self) -> Iterator[Any]:
        notes = (TaggedOutput(NOTES, note) for note in self._comparison.notes())
        for found in itertools.chain(self._flush() if self._waiting else (), notes):
            yield _windowed(found)


def _windowed(found: Any) -> Any:
    if isinstance(found, TaggedOutput):
        return TaggedOutput(found.tag, _windowed(found.value))
    return WindowedValue(found, GlobalWindow().max_timestamp(), (GlobalWindow(),))


@dataclasses.dataclass
class CompareUris(Stage):
    """Compare uris with what stands in collections: ImageUri -> Compared(ImageUri, Settled, Note).

    Args:
      rules: how to compare, for each collection.
      known: what each collection holds, a PCollection of one `Known` each, in the same order.
    """

    takes = ImageUri

    rules: Sequence[Rules]
    known: Sequence[Any]

    def expand(self, uris: beam.PCollection[ImageUri]) -> Compared:
        found = uris | beam.ParDo(_Compare(self.rules), *map(AsSingleton, self.known)).with_outputs(
            SETTLED, NOTES, main="uris"
        )
        return Compared(typed(found.uris, ImageUri), typed(found[SETTLED], Settled), typed(found[NOTES], Note))
