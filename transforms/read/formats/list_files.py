"""Files that are uri lists: known by their suffix, and unpacked while they are read."""

import bz2
import contextlib
import gzip
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms.read.formats.parts import Joined, Part
from transforms.storage.files import download
from transforms.storage.gcs import INSTALLED, is_gcs, opened_object

FORMATS = {
    ".txt": "text",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
"""Formats of uri lists by suffix."""

UNPACKERS: dict[str, Callable[[Any], Any]] = {
    ".gz": lambda f: gzip.GzipFile(fileobj=f),
    ".bz2": bz2.BZ2File,
    ".zst": lambda f: io.BufferedReader(pa.CompressedInputStream(f, "zstd")),
}
"""Compressions of uri lists by suffix; unlike Beam's, they raise for a file that ends early."""


def format_of(path: str) -> str:
    """Return the format of a uri list by its suffix, compressed or not: '.csv.gz' -> 'csv'; '' for any other file."""
    name = path.lower()
    packed = next((suffix for suffix in UNPACKERS if name.endswith(suffix)), "")
    return next((format_ for suffix, format_ in FORMATS.items() if name.removesuffix(packed).endswith(suffix)), "")


def is_uri_list(path: str) -> bool:
    """Whether a path has the suffix of a uri list, compressed or not: .csv, .csv.gz."""
    return bool(format_of(path))


def is_packed(path: str) -> bool:
    """Whether a uri list is compressed, so that nobody can begin in its midst."""
    return path.lower().endswith((*UNPACKERS,))


@contextlib.contextmanager
def opened(path: str, part: Part | None = None) -> Iterator[Any]:
    """Open a uri list on any Beam filesystem, and yield its unpacked bytes, or those of a part, as a file."""
    with contextlib.ExitStack() as stack:
        if part:
            f = stack.enter_context(opened_anywhere(path))
            f.seek(part.start)
            size = None if part.stop is None else part.stop - part.start
            yield io.BufferedReader(Joined(part.head, f, size, part.crc32), 1 << 20)
            return
        if is_gcs(path):
            local = os.path.join(stack.enter_context(tempfile.TemporaryDirectory()), "list")
            download(path, local)
            f = stack.enter_context(open(local, "rb"))
        else:
            f = stack.enter_context(FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED))
        unpack = next((unpack for suffix, unpack in UNPACKERS.items() if path.lower().endswith(suffix)), None)
        yield unpack(f) if unpack else f


@contextlib.contextmanager
def opened_anywhere(path: str) -> Iterator[Any]:
    """Open a uri list that is not compressed, to read here and there in it; of a bucket no more comes than is read."""
    f = opened_object(path) if is_gcs(path) and INSTALLED else None
    if f:
        yield f
        return
    with opened(path) as whole:
        yield whole
