"""`CompareUris`: uris are compared with what stands, in batches, before anything is fetched."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import AsSingleton, TaggedOutput
from apache_beam.transforms.window import GlobalWindows

from transforms.core.elements import ImageUri
from transforms.core.stage import Stage, typed
from transforms.update.compare import Comparison, Note, Rules, Settled
from transforms.update.known import Known

AT_ONCE = 1024
"""Uris that are looked up at a time."""
SETTLED, NOTES = "settled", "notes"


def settled_apart(found: Iterable[Any]) -> Iterator[Any]:
    """Tag what is settled with SETTLED: Settled or another element -> TaggedOutput or the element."""
    for one in found:
        yield TaggedOutput(SETTLED, one) if isinstance(one, Settled) else one


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
        yield from settled_apart(self._comparison(waiting, self._known))

    def finish_bundle(self) -> Iterator[Any]:
        notes = (TaggedOutput(NOTES, note) for note in self._comparison.notes())
        for found in itertools.chain(self._flush() if self._waiting else (), notes):
            yield _windowed(found)


def _windowed(found: Any) -> Any:
    if isinstance(found, TaggedOutput):
        return TaggedOutput(found.tag, _windowed(found.value))
    return GlobalWindows.windowed_value_at_end_of_window(found)


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
