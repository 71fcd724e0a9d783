"""Rows of a source: each is an `ImageUri`, or a `Failure` of the stage 'read'.

A relative uri in a list is relative to the list's folder.
"""

import os
from collections.abc import Iterator
from typing import Any

from transforms.core.counters import count
from transforms.core.elements import ImageUri
from transforms.core.errors import ImageError, one_line
from transforms.core.failures import Failure
from transforms.read.other_files import other_file
from transforms.read.sources import Source, matching
from transforms.read.uri_lists import Carried, UriList, data_rows
from transforms.storage.paths import canonical_uri

_Row = tuple[ImageUri, ImageError | None]


def read_source(source: Source, carried: Carried) -> Iterator[ImageUri | Failure]:
    """Read the rows of one source in their order: Source -> ImageUri | Failure."""
    for uri, error in _listed(source, carried) if source.kind == "list" else _matched(source):
        count("uris-read")
        yield Failure.of(uri, "read", error) if error else uri
    count("sources-read")


def _matched(source: Source) -> Iterator[_Row]:
    if source.kind == "image":
        yield ImageUri(canonical_uri(source.path)), None
        return
    for path, version, error in matching(source.path):
        if not error and (why := other_file(path)):
            error = ImageError("other_file", why)
        yield ImageUri(canonical_uri(path), version=version), error


def _listed(source: Source, carried: Carried) -> Iterator[_Row]:
    first = source.part.rows_before + 1 if source.part else 1
    one = UriList(source.path, source.partitions, source.part)
    for number, (why, row) in enumerate(data_rows(one, carried), first):
        error = ImageError("bad_row", why) if why else None
        version = row.pop("version") if carried.version_column and row else ""
        version = f"listed:{version}" if version else ""
        try:
            uri = "" if why else _text(row.pop("uri"))
            if uri:
                yield ImageUri(canonical_uri(uri, source.folder), row, version), None
                continue
            error = error or ImageError("no_uri", f"column {carried.uri_column!r} is empty")
        except ValueError as e:
            error = ImageError("bad_row", f"column {carried.uri_column!r}: {one_line(e)}")
        yield ImageUri(f"{canonical_uri(source.path)}#row={number}", row, version), error


def _text(value: Any) -> str:
    """Return a uri of a list as text without white space around it; raise ValueError."""
    if isinstance(value, list | dict):
        raise ValueError("a list or an object is no uri")
    return "" if value is None else (os.fsdecode(value) if isinstance(value, bytes) else str(value)).strip()
