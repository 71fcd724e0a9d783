"""Read image uris from single paths, folders, globs and uri lists.

A relative uri in a list is relative to the list's folder.
"""

import dataclasses
import functools
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.filesystem import BeamIOError
from apache_beam.pvalue import TaggedOutput

from transforms.core.counters import count
from transforms.core.elements import ImageUri
from transforms.core.errors import ImageError, UsageError, did_you_mean, one_line
from transforms.core.failures import FAILURES, Failure, failed
from transforms.core.stage import Stage, typed
from transforms.core.uri_sum import UriSum
from transforms.read.uri_lists import carried_schema, data_rows, is_uri_list, merged_schema
from transforms.storage.gcs import install_hint
from transforms.storage.paths import canonical_uri, folder_pattern, is_file, matches_any, matching_files, scheme_of

SCHEMES = ("file", "gs", "s3", "hdfs", "azfs", "http", "https")
COUNTS = "counts"


class Uris(NamedTuple):
    """Outputs of `ReadImageUris`; `counts` are (name, UriSum), with the names 'inputs' and 'duplicates'."""

    uris: beam.PCollection[ImageUri]
    unread: beam.PCollection[Failure]
    counts: beam.PCollection[tuple[str, UriSum]]


@dataclasses.dataclass(frozen=True)
class Source:
    """One input as it was found at launch: `kind` is 'image', 'files' (`path` is a glob) or 'list'."""

    kind: str
    path: str
    index: int


def find_sources(inputs: Iterable[str]) -> list[Source]:
    """Return what each input is, after checking that it matches something.

    Raises:
      UsageError: an input's scheme is unknown, or it matches nothing.
    """
    found: list[tuple[str, str]] = []
    for path in inputs:
        found.extend(_find(path))
    return [Source(kind, path, i) for i, (kind, path) in enumerate(found)]


def _find(path: str) -> Iterator[tuple[str, str]]:
    scheme = scheme_of(path)
    if scheme in ("http", "https"):
        yield "image", path
        return
    if scheme and scheme not in SCHEMES:
        raise UsageError(f"no filesystem reads {path}: unknown scheme {scheme!r}{did_you_mean(scheme, SCHEMES)}")
    path = canonical_uri(path) if scheme in ("", "file") else path
    try:
        if is_file(path):
            yield ("list" if is_uri_list(path) else "image"), path
            return
        folder = folder_pattern(path)
        if matches_any(folder):
            yield "files", folder
        elif not os.path.isdir(path) and matches_any(path):
            yield from (("list", m.path) for m in matching_files(path)) if is_uri_list(path) else [("files", path)]
        else:
            raise UsageError(f"nothing matches --input {path}; check the path, or quote the glob if the shell ate it")
    except (BeamIOError, OSError, ValueError, ImportError) as e:
        if isinstance(e, UsageError):
            raise
        raise UsageError(f"cannot list --input {path}: {one_line(e)}{install_hint(path)}") from e


def read_source(source: Source, uri_column: str, columns: pa.Schema) -> Iterator[Any]:
    """Read the rows of one source: Source -> (uri, (position, columns)) | TaggedOutput(FAILURES, Failure)."""
    if source.kind == "list":
        folder = source.path.rpartition("/")[0]
        for number, (why, row) in enumerate(data_rows(source.path, uri_column, columns), 1):
            count("uris-read")
            if uri := None if why else _text(row.pop("uri")):
                yield canonical_uri(uri, folder), ((source.index, number), row)
            else:
                lost = ImageUri(f"{source.path}#row={number}", row)
                error = ImageError("bad_row", why) if why else ImageError("no_uri", f"column {uri_column!r} is empty")
                yield failed(lost, "read", error)
        return
    paths = [source.path] if source.kind == "image" else (canonical_uri(m.path) for m in matching_files(source.path))
    for number, path in enumerate(paths):
        count("uris-read")
        yield path, ((source.index, number), {})


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value and value.strip("\r\n")
    return str(value)


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
        self.columns  # noqa: B018 (reads the headers of the lists now)

    @functools.cached_property
    def columns(self) -> pa.Schema:
        """The carried columns of all uri lists, with the types that the output gives them."""
        return merged_schema([carried_schema(s.path, self.uri_column) for s in self.sources if s.kind == "list"])

    def rows(self) -> Iterator[ImageUri | None]:
        """Read the uris in this process, without Beam, including duplicates; None for a row that cannot be read."""
        for source in self.sources:
            for row in read_source(source, self.uri_column, self.columns):
                yield None if isinstance(row, TaggedOutput) else ImageUri(row[0], row[1][1])

    def expand(self, root: Any) -> Uris:
        read = (
            root
            | "Sources" >> beam.Create(self.sources)
            | "SpreadSources" >> beam.Reshuffle()
            | "Read" >> beam.FlatMap(read_source, self.uri_column, self.columns).with_outputs(FAILURES, main="rows")
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
