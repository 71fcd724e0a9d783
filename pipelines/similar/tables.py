"""Write what is found to a file: Parquet or JSON lines, by its suffix, in memory that does not grow with the rows."""

import contextlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.collection.layout import PARTIAL
from transforms.core.errors import UsageError, one_line
from transforms.storage.files import delete, move, written_locally
from transforms.storage.gcs import check_access
from transforms.storage.paths import scheme_of
from transforms.storage.schemes import SCHEMES, WEB

ROWS = 1 << 16
"""Rows that are written at a time."""
_TYPES = {str: pa.string(), int: pa.int32(), float: pa.float64()}


class Match(NamedTuple):
    """An image that resembles another one: the uri of that one, its rank from 1, its own uri, the cosine."""

    to: str
    rank: int
    uri: str
    cosine: float


def write_table(path: str, kind: Any, rows: Iterable[Any]) -> None:
    """Write rows to a file, which appears once it is complete.

    Args:
      path: path of the file, on any Beam filesystem.
      kind: the named tuple of a row; its fields are the columns.
      rows: the rows; iterated once.

    Raises:
      UsageError: it cannot be written.
    """
    write = _write_parquet if path.lower().endswith(".parquet") else _write_lines
    with replaced(path) as local:
        write(local, kind, rows)


@contextlib.contextmanager
def replaced(path: str) -> Iterator[str]:
    """Yield a local path for a new content of a file, which gets it when the block ends, and not if it fails.

    Raises:
      UsageError: the file cannot be written.
    """
    partial = path + PARTIAL
    try:
        try:
            with written_locally(partial) as local:
                yield local
            move(partial, path)
        except BaseException:
            with contextlib.suppress(Exception):
                delete([partial])
            raise
    except OSError as e:
        raise UsageError(f"cannot write --out {path}: {one_line(e)}") from e


def _write_parquet(local: str, kind: Any, rows: Iterable[Any]) -> None:
    schema = pa.schema([pa.field(name, _TYPES[type_], False) for name, type_ in get_type_hints(kind).items()])
    with pq.ParquetWriter(local, schema, compression="zstd") as writer:
        left = iter(rows)
        while some := list(itertools.islice(left, ROWS)):
            columns = zip(*some, strict=True)
            arrays = [pa.array(values, type_) for values, type_ in zip(columns, schema.types, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _write_lines(local: str, kind: Any, rows: Iterable[Any]) -> None:
    with open(local, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in rows)


def check_out(path: str) -> None:
    """Refuse a file that could not be written once the work is done.

    Raises:
      UsageError: nothing can be written there.
    """
    _check_writable(path)
    if os.path.isdir(path):
        raise UsageError(f"--out {path} is a folder; give the name of a file")


def check_out_folder(path: str) -> None:
    """Refuse a folder in which no file could be written once the work is done.

    Raises:
      UsageError: nothing can be written there.
    """
    _check_writable(path)
    if os.path.isfile(path):
        raise UsageError(f"--out {path} is a file; give the name of a folder")


def _check_writable(path: str) -> None:
    scheme = scheme_of(path)
    if scheme and (scheme not in SCHEMES or scheme in WEB):
        raise UsageError(f"--out {path}: nothing here writes to {scheme}://; choose a local path or gs://")
    check_access([path])
