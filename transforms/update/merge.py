"""Merge new embeddings and failures with those that stand."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import AsIter, AsSingleton

from transforms.collection.layout import format_of, path_of
from transforms.core.stage import typed
from transforms.core.uri_sum import UriSum
from transforms.update.compare import COUNTED, Note, Settled
from transforms.update.drops import Drops, drops_of, replaced_again, replaced_by, without_dropped
from transforms.update.fetching import Standing
from transforms.update.known import KnownFile
from transforms.update.outcomes import Outcome
from transforms.update.reread import RereadSettled
from transforms.write.shard_format import EmbeddingsFormat, ShardFormat
from transforms.write.shard_plan import StandingFile


class Merged(NamedTuple):
    """Outputs of `MergeWithStanding`.

    `embeddings` and `failures` are PCollections of what is written again, `files` is one of StandingFiles, those of
    failures among them; `accounted` is what the accounting needs: these files as 'standing', (kind, UriSum) as 'sums'.
    """

    embeddings: tuple[Any, ...]
    failures: tuple[Any, ...]
    files: Any
    accounted: Mapping[str, Any]


NOTHING_STANDS = Merged((), (), None, {})


@dataclasses.dataclass
class MergeWithStanding(beam.PTransform):
    """Merge new embeddings with what stands in a collection: Embedding -> Merged.

    Args:
      collection: name of the collection in this run.
      output: its folder.
      standing: what `FetchDiffering` found of it.
      known: the files that were compared, by their numbers.
      files: the files that stand.
      formats: its formats by name, '' for failures.
      read_format: name of the format that rows are read from.
      unread: a PCollection of the failures of reading the input: a uri may be missing for one.
      remove_missing: whether rows go whose uris no input names any more.
    """

    collection: str
    output: str
    standing: Standing
    known: Sequence[KnownFile]
    files: Sequence[StandingFile]
    formats: Mapping[str, ShardFormat]
    read_format: str
    unread: Any
    remove_missing: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, embeddings: Any) -> Merged:
        known, settled, notes = self.standing
        reader: Any = self.formats[self.read_format]
        formats: dict[str, EmbeddingsFormat] = {self.read_format: reader}
        again, failed = settled | "Reread" >> RereadSettled(self.known, formats)
        replaced = (
            embeddings | "Replaced" >> beam.FlatMap(replaced_by, self.collection),
            settled | "Revised" >> beam.FlatMap(replaced_again),
        ) | "AllReplaced" >> beam.Flatten()
        drops = (
            embeddings.pipeline
            | beam.Create([self.remove_missing])
            | "Drops"
            >> beam.Map(
                lambda remove_missing, replaced, notes, known, unread: drops_of(
                    replaced, [(note.kind, note.value) for note in notes], known, remove_missing, unread
                ),
                AsIter(replaced),
                AsIter(notes),
                AsSingleton(known),
                AsIter(self.unread),
            )
        )
        files = (
            embeddings.pipeline
            | "Standing" >> beam.Create(list(self.files), reshuffle=True)
            | "Dropped" >> beam.Map(_without_dropped, AsSingleton(drops), self.output, self.formats)
        )
        sums = (
            settled | "SettledSums" >> beam.FlatMap(_sums_of_settled),
            notes | "NoteSums" >> beam.FlatMap(_sums_of_note),
            drops | "DropSums" >> beam.FlatMap(_sums_of_drops),
        )
        standing = typed(files, StandingFile)
        total = sums | "Sums" >> beam.Flatten() | beam.CombinePerKey(UriSum.total)
        return Merged((again,), (failed,), standing, {"standing": standing, "sums": total})


@dataclasses.dataclass
class FilesOf(beam.PTransform):
    """Keep the files of one format: StandingFile -> StandingFile.

    Args:
      format: name of the format, '' for failures.
    """

    format: str

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, files: Any) -> Any:
        return typed(
            files | beam.Filter(lambda file, wanted: format_of(file.name) == wanted, self.format), StandingFile
        )


def _without_dropped(file: StandingFile, drops: Drops, output: str, formats: Mapping[str, ShardFormat]) -> StandingFile:
    format_ = format_of(file.name)
    dropped = drops.rows if format_ else drops.failures
    return without_dropped(file, path_of(output, file.name), dropped, formats[format_])


def _sums_of_settled(settled: Settled) -> Iterator[tuple[str, UriSum]]:
    one = UriSum.of([settled.source.uri])
    if settled.outcome in (Outcome.SAME, Outcome.REVISE):
        yield "skipped", one
    if settled.outcome is Outcome.REVISE:
        yield "revised", one
    if settled.outcome is Outcome.TAKE:
        yield "taken_over", one


def _sums_of_note(note: Note) -> Iterator[tuple[str, UriSum]]:
    if note.kind == COUNTED[Outcome.SAME]:
        yield "skipped", note.value
    if note.kind == COUNTED[Outcome.FAILED]:
        yield "known_failures", note.value


def _sums_of_drops(drops: Drops) -> Iterator[tuple[str, UriSum]]:
    yield "dropped", UriSum.of_hashes(drops.rows.all())
    yield "gone", drops.gone
    yield "removed", drops.removed
