"""Read the uris of images: named one by one, in folders, by globs, and in manifests.

A local path becomes absolute, so that the same image has the same uri in every run; a name that is no UTF-8 is kept as
a percent-encoded `file://` uri. A relative uri in a manifest is relative to the manifest's folder.
"""

import dataclasses
import functools
import glob
import os
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.filesystem import BeamIOError, FileMetadata
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import TaggedOutput

from transforms.core.counters import count
from transforms.core.elements import ImageUri
from transforms.core.errors import UsageError, did_you_mean, one_line
from transforms.core.failures import FAILURES, ImageError, failed
from transforms.read.uri_lists import carried_schema, data_rows, is_manifest, merged_schema
from transforms.storage.gcs import INSTALL, INSTALLED

SCHEMES = ("file", "gs", "s3", "hdfs", "azfs", "http", "https")
COUNTS = "counts"

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.ASCII | re.IGNORECASE)
_NOT_UTF8 = re.compile("[\udc80-\udcff]+")


class Uris(NamedTuple):
    """What `ReadImageUris` gives: ImageUri, Failure, and (name, n) counts named 'inputs' and 'duplicates'."""

    uris: Any
    unread: Any
    counts: Any


@dataclasses.dataclass(frozen=True)
class Source:
    """One input as it was found at launch: `kind` is 'image', 'files' (`path` is a pattern) or 'manifest'."""

    kind: str
    path: str
    index: int


def scheme_of(path: str) -> str:
    """Return a path's scheme in lower case, '' for a local path."""
    scheme = _SCHEME.match(path)
    return scheme[1].lower() if scheme else ""


def canonical_uri(path: str, folder: str = "") -> str:
    """Return the one uri by which an image is known; a relative path is relative to `folder`, or to the working one."""
    scheme = scheme_of(path)
    if scheme == "file":
        path = os.fsdecode(urllib.parse.unquote_to_bytes(path[len("file://") :].removeprefix("localhost")))
    elif scheme or scheme_of(folder):
        uri = path if scheme else str(FileSystems.join(folder, path))
        return uri if uri.isascii() else _NOT_UTF8.sub(lambda c: urllib.parse.quote_from_bytes(os.fsencode(c[0])), uri)
    path = os.path.abspath(os.path.join(folder, path))
    try:
        path.encode()
    except UnicodeEncodeError:
        return "file://" + urllib.parse.quote_from_bytes(os.fsencode(path))
    return path


def find_sources(inputs: Iterable[str]) -> list[Source]:
    """Find out what each input is, and that there is something.

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
        if _is_file(path):
            yield ("manifest" if is_manifest(path) else "image"), path
            return
        folder = folder_pattern(path)
        if any(_visible(folder)):
            yield "files", folder
        elif not os.path.isdir(path) and any(_visible(path)):
            yield from (("manifest", m.path) for m in _visible(path)) if is_manifest(path) else [("files", path)]
        else:
            raise UsageError(f"nothing matches --input {path}; check the path, or quote the glob if the shell ate it")
    except (BeamIOError, OSError, ValueError, ImportError) as e:
        if isinstance(e, UsageError):
            raise
        raise UsageError(f"cannot list --input {path}: {one_line(e)}{install_hint(path)}") from e


def folder_pattern(folder: str) -> str:
    """Return the glob of all files below a folder."""
    return str(FileSystems.join(glob.escape(folder.rstrip("/")), "**"))


def install_hint(path: str) -> str:
    """Say which extra reads a scheme, where Beam's own message does not."""
    return f"; for gs:// run: {INSTALL}" if scheme_of(path) == "gs" and not INSTALLED else ""


def _is_file(path: str) -> bool:
    return os.path.isfile(path) if not scheme_of(path) else bool(FileSystems.exists(path))


def _visible(pattern: str) -> Iterator[FileMetadata]:
    """List the files of a pattern in order, without those that are hidden below its fixed part."""
    fixed = pattern[: min((pattern.find(c) for c in "*?[" if c in pattern), default=len(pattern))].count("/")
    for result in FileSystems.match([pattern]):
        for file in sorted(result.metadata_list, key=lambda m: str(m.path)):
            if not any(name.startswith(".") for name in file.path.split("/")[fixed:]):
                yield file


def read_source(source: Source, uri_column: str, columns: pa.Schema) -> Iterator[Any]:
    """Read one source's rows: Source -> (uri, (position, columns)) | a tagged Failure."""
    if source.kind == "manifest":
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
    paths = [source.path] if source.kind == "image" else (canonical_uri(m.path) for m in _visible(source.path))
    for number, path in enumerate(paths):
        count("uris-read")
        yield path, ((source.index, number), {})


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value and value.strip("\r\n")
    return str(value)


def first_of_each(uri: str, rows: Iterable[tuple[tuple[int, int], dict[str, Any]]]) -> Iterator[Any]:
    """Keep the first row of a uri and count the others: (uri, rows) -> ImageUri, and ('duplicates', n) tagged."""
    all_rows = list(rows)
    yield ImageUri(uri, min(all_rows, key=lambda row: row[0])[1])
    if len(all_rows) > 1:
        count("uris-repeated", len(all_rows) - 1)
        yield TaggedOutput(COUNTS, ("duplicates", len(all_rows) - 1))


@dataclasses.dataclass
class ReadImageUris(beam.PTransform):
    """Read uris, each once: PBegin -> Uris(ImageUri, Failure, counts).

    The inputs are looked up when this is constructed, so that a mistake is told before anything runs.

    Args:
      inputs: images, folders (recursive, without hidden files), globs and manifests, on any Beam filesystem.
      uri_column: the manifests' column that holds the uri; their other columns are carried along.

    Raises:
      UsageError: an input matches nothing, or a manifest cannot be used.
    """

    inputs: list[str]
    uri_column: str = "uri"

    def __post_init__(self) -> None:
        super().__init__()
        self.sources = find_sources(self.inputs)
        self.columns  # noqa: B018 (reads the manifests' headers now)

    @functools.cached_property
    def columns(self) -> pa.Schema:
        """The carried columns of all manifests, with the types that the output gives them."""
        return merged_schema([carried_schema(s.path, self.uri_column) for s in self.sources if s.kind == "manifest"])

    def rows(self) -> Iterator[ImageUri | None]:
        """Read the uris here and now, without Beam and with their duplicates; None for a row that cannot be read."""
        for source in self.sources:
            for row in read_source(source, self.uri_column, self.columns):
                yield None if isinstance(row, TaggedOutput) else ImageUri(row[0], row[1][1])

    def expand(self, root: Any) -> Any:
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
        ones = (read.rows, read[FAILURES]) | beam.Flatten() | "One" >> beam.Map(lambda _: ("inputs", 1))
        counts = (ones, unique[COUNTS]) | "Counts" >> beam.Flatten() | beam.CombinePerKey(sum)
        return Uris(unique.uris, read[FAILURES], counts)
