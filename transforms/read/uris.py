"""Read image uris from single paths, folders, globs and uri lists.

A relative uri in a list is relative to the list's folder.
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput

from transforms.core.counters import count
from transforms.core.elements import ImageUri
from transforms.core.errors import ImageError, one_line
from transforms.core.failures import FAILURES, Failure, failed
from transforms.core.stage import Stage, typed
from transforms.core.uri_sum import UriSum
from transforms.read.sources import Source, find_sources, matching
from transforms.read.uri_lists import Carried, UriList, carried_by, data_rows
from transforms.storage.paths import canonical_uri

COUNTS = "counts"


class Uris(NamedTuple):
    """Outputs of `ReadImageUris`; `counts` are (name, UriSum), with the names 'inputs' and 'duplicates'."""

    uris: beam.PCollection[ImageUri]
    unread: beam.PCollection[Failure]
    counts: beam.PCollection[tuple[str, UriSum]]


def read_source(source: Source, carried: Carried) -> Iterator[Any]:
    """Read the rows of one source: Source -> (uri, (position, columns)) | TaggedOutput(FAILURES, Failure)."""
    found = _listed(source, carried) if source.kind == "list" else _matched(source)
    for number, (uri, columns, error) in enumerate(found, 1):
        count("uris-read")
        if error:
            yield failed(ImageUri(uri, columns), "read", error)
        else:
            yield uri, ((source.index, number), columns)


def _matched(source: Source) -> Iterator[tuple[str, dict[str, Any], ImageError | None]]:
    for path, error in [(source.path, None)] if source.kind == "image" else matching(source.path):
        yield canonical_uri(path), {}, error


def _listed(source: Source, carried: Carried) -> Iterator[tuple[str, dict[str, Any], ImageError | None]]:
    for number, (why, row) in enumerate(data_rows(UriList(source.path, source.partitions), carried), 1):
        error = ImageError("bad_row", why) if why else None
        try:
            uri = "" if why else _text(row.pop("uri"))
            if uri:
                yield canonical_uri(uri, source.folder), row, None
                continue
            error = error or ImageError("no_uri", f"column {carried.uri_column!r} is empty")
        except ValueError as e:
            error = ImageError("bad_row", f"column {carried.uri_column!r}: {one_line(e)}")
        yield f"{canonical_uri(source.path)}#row={number}", row, error


def _text(value: Any) -> str:
    """Return a uri of a list as text without white space around it; raise ValueError."""
    if isinstance(value, list | dict):
        raise ValueError("a list or an object is no uri")
    return "" if value is None else (os.fsdecode(value) if isinstance(value, bytes) else str(value)).strip()


def first_of_each(uri: str, rows: Iterable[tuple[tuple[int, int], dict[str, Any]]]) -> Iterator[Any]:
    """Keep the first row of a uri: (uri, rows) -> ImageUri, and TaggedOutput(COUNTS, ('duplicates', UriSum))."""
    all_rows = list(rows)
    yield ImageUri(uri, min(all_rows, key=lambda row: row[0])[1])
    repeated = [uri] * (len(all_rows) - 1)
    if repeated:
        count("uris-repeated", len(repeated))
        yield TaggedOutput(COUNTS, ("duplicates", UriSum.of(repeated)))


@dataclasses.dataclass
class ReadImageUris(Stage):
    """Read uris, each once: PBegin -> Uris(ImageUri, Failure, counts).

    Inputs are looked up on construction, so that mistakes are reported before anything runs.

    Args:
      inputs: images, folders (recursive, without hidden files), globs and uri lists, on any Beam filesystem.
      uri_column: column of the uri lists that holds the uri; the other columns are carried along.

    Raises:
      UsageError: an input matches nothing, or a uri list cannot be used.
    """

    inputs: list[str]
    uri_column: str = "uri"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sources = find_sources(self.inputs)
        lists = [UriList(source.path, source.partitions) for source in self.sources if source.kind == "list"]
        self.carried = carried_by(lists, self.uri_column)

    @property
    def columns(self) -> pa.Schema:
        """The carried columns of all uri lists, with the types that the output gives them."""
        return self.carried.schema

    def carry(self, columns: pa.Schema) -> None:
        """Give the carried columns the types, and the order, of a schema that has all of them."""
        self.carried = dataclasses.replace(self.carried, schema=columns)

    def rows(self) -> Iterator[ImageUri | None]:
        """Read the uris in this process, without Beam, including duplicates; None for a row that cannot be read."""
        for source in self.sources:
            for row in read_source(source, self.carried):
                yield None if isinstance(row, TaggedOutput) else ImageUri(row[0], row[1][1])

    def expand(self, root: Any) -> Uris:
        read = (
            root
            | "Sources" >> beam.Create(self.sources)
            | "SpreadSources" >> beam.Reshuffle()
            | "Read" >> beam.FlatMap(read_source, self.carried).with_outputs(FAILURES, main="rows")
        )
        unique = (
            read.rows
            | "ByUri" >> beam.GroupByKey()
            | "Unique" >> beam.FlatMapTuple(first_of_each).with_outputs(COUNTS, main="uris")
        )
        found = read.rows | "Found" >> beam.MapTuple(lambda uri, _: ("inputs", UriSum.of([uri])))
        lost = read[FAILURES] | "Lost" >> beam.Map(lambda failure: ("inputs", UriSum.of([failure.source.uri])))
        counts = (found, lost, unique[COUNTS]) | "Counts" >> beam.Flatten() | beam.CombinePerKey(UriSum.total)
        return Uris(typed(unique.uris, ImageUri), typed(read[FAILURES], Failure), counts)
