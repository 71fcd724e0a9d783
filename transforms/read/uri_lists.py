"""Read uri lists: text, CSV, TSV, JSON lines and Parquet files of uris with columns, on any Beam filesystem.

Parquet and JSON lines state the types of their columns. CSV does not: a column is read as int64 or float64 if
that keeps every digit of every value; any other column stays text, so that `007` stays `007`.
"""

import contextlib
import csv
import decimal
import gzip
import io
import json
import os
import re
import tempfile
import zlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms.collection.columns import FAILURE_COLUMNS, carried_name
from transforms.core.errors import UsageError, did_you_mean, one_line
from transforms.storage.files import download
from transforms.storage.gcs import is_gcs

SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".parquet")
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})\.\d{1,30}", re.ASCII)

Row = tuple[str, dict[str, Any]]
"""('', columns) of a row that was read, or (why, {}) of one that could not be."""


def is_uri_list(path: str) -> bool:
    """Whether a path has the suffix of a uri list, compressed or not: .csv, .csv.gz."""
    return path.lower().removesuffix(".gz").endswith(SUFFIXES)


def _suffix(path: str) -> str:
    return "." + path.lower().removesuffix(".gz").rsplit(".", 1)[-1]


@contextlib.contextmanager
def _open(path: str) -> Iterator[Any]:
    with contextlib.ExitStack() as stack:
        if is_gcs(path):
            local = os.path.join(stack.enter_context(tempfile.TemporaryDirectory()), "list")
            download(path, local)
            f = stack.enter_context(open(local, "rb"))
        else:
            f = stack.enter_context(FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED))
        # Beam's own decompression takes a file that ends early for a complete one, and cannot be wrapped as text.
        yield gzip.GzipFile(fileobj=f) if path.lower().endswith(".gz") else f


def rows(path: str, uri_column: str) -> Iterator[Row]:
    """Read the rows of a uri list in order, a few at a time; skip blank lines and, in text, comments (#)."""
    suffix = _suffix(path)
    with _open(path) as f:
        if suffix == ".parquet":
            for batch in pq.ParquetFile(f).iter_batches(1024):
                yield from (("", row) for row in batch.to_pylist())
            return
        text = io.TextIOWrapper(f, "utf-8-sig", errors="surrogateescape", newline="")
        if suffix == ".txt":
            lines = (line.rstrip("\r\n") for line in text)
            yield from (("", {uri_column: line.strip()}) for line in lines if line.strip() and line[0] != "#")
        elif suffix == ".jsonl":
            yield from (_json_row(line) for line in text if line.strip())
        else:
            yield from _csv_rows(csv.reader(text, delimiter="\t" if suffix == ".tsv" else ","))


def _json_row(line: str) -> Row:
    try:
        row = json.loads(line)
        if "\\ud" in line.lower():
            json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except (ValueError, RecursionError) as e:
        return f"not JSON: {one_line(e)}", {}
    return ("", row) if isinstance(row, dict) else ("a line of JSON that is not an object", {})


def _csv_rows(reader: Any) -> Iterator[Row]:
    header: list[str] = next(reader, [])
    yield "", dict.fromkeys(header)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as e:
            yield f"not CSV: {one_line(e)}", {}
            continue
        if row and len(row) != len(header):
            yield f"{len(row)} fields where the header has {len(header)}", {}
        elif row:
            yield "", dict(zip(header, row, strict=True))


def _has_header(path: str) -> bool:
    return _suffix(path) in (".csv", ".tsv")


def data_rows(path: str, uri_column: str, columns: pa.Schema) -> Iterator[Row]:
    """Read the rows of a uri list: the uri as 'uri', the carried columns named and typed as in `columns`."""
    found = rows(path, uri_column)
    if _has_header(path):
        next(found, None)
    types = {field.name: field.type for field in columns}
    for why, row in found:
        if why:
            yield why, {}
            continue
        carried = {carried_name(k): v for k, v in row.items() if k != uri_column}
        yield "", {"uri": row.get(uri_column), **{k: _typed(v, types[k]) for k, v in carried.items() if k in types}}


def _typed(value: Any, type_: pa.DataType) -> Any:
    if isinstance(value, str):
        if pa.types.is_integer(type_):
            return int(value) if value else None
        if pa.types.is_floating(type_):
            return float(value) if value else None
        return value.encode("utf-8", "replace").decode()
    if pa.types.is_floating(type_) and isinstance(value, int):
        return float(value)
    if pa.types.is_string(type_) and value is not None:
        return json.dumps(value, default=str) if isinstance(value, bool | int | float | list | dict) else str(value)
    return value


def carried_schema(path: str, uri_column: str) -> pa.Schema:
    """Return the carried columns of a uri list, with their types.

    Raises:
      UsageError: the list cannot be read, has no rows, or lacks the uri column.
    """
    try:
        schema = _parquet_schema(path) if _suffix(path) == ".parquet" else _inferred_schema(path, uri_column)
    except UsageError:
        raise
    except (OSError, EOFError, zlib.error, UnicodeError, pa.ArrowException, csv.Error) as e:
        raise UsageError(f"cannot read the uri list {path}: {one_line(e)}; check the file, or make it anew") from e
    if uri_column not in schema.names:
        raise UsageError(
            f"the uri list {path} has no column {uri_column!r}{did_you_mean(uri_column, schema.names)}; "
            f"it has {', '.join(schema.names)}; choose one with --uri_column"
        )
    own_failures = set(FAILURE_COLUMNS) <= set(schema.names)
    dropped = {uri_column, *(FAILURE_COLUMNS if own_failures else ())}
    return pa.schema([pa.field(carried_name(f.name), f.type) for f in schema if f.name not in dropped])


def _parquet_schema(path: str) -> pa.Schema:
    with _open(path) as f:
        file = pq.ParquetFile(f)
        if not file.metadata.num_rows:
            raise UsageError(f"the uri list {path} has no rows")
        return file.schema_arrow.remove_metadata()


def _inferred_schema(path: str, uri_column: str) -> pa.Schema:
    types: dict[str, pa.DataType] = {}
    long: set[str] = set()
    seen, why = 0, ""
    for i, (why, row) in enumerate(rows(path, uri_column)):
        header = i == 0 and _has_header(path)
        seen += not header
        for name, value in ({} if why else row).items():
            old = types.get(name, pa.null())
            types[name] = _wider(old, _csv_type(value, old) if _has_header(path) else _json_type(value))
            if _has_header(path) and _is_long(value):
                long.add(name)
    if not seen:
        raise UsageError(f"the uri list {path} has no rows")
    if not types:
        raise UsageError(f"the uri list {path} has no row that can be read; its last one is {why}")
    text = {name for name, t in types.items() if t == pa.null() or (t == pa.float64() and name in long)}
    return pa.schema([(name, pa.string() if name in text else t) for name, t in types.items()])


def _is_long(value: str | None) -> bool:
    """Whether the value is a whole number that an int64 holds and a float64 does not."""
    if value is None or len(value) < 16 or not _INTEGER.fullmatch(value):
        return False
    return int(float(value)) != int(value)


def _csv_type(value: str | None, old: pa.DataType) -> pa.DataType:
    if not value or old == pa.string():
        return old
    if _INTEGER.fullmatch(value):
        return pa.int64()
    exact = _NUMBER.fullmatch(value) and decimal.Decimal(value) == decimal.Decimal(repr(float(value)))
    return pa.float64() if exact else pa.string()


def _json_type(value: Any) -> pa.DataType:
    try:
        type_ = pa.array([value]).type
    except (pa.ArrowException, OverflowError, UnicodeError):
        return pa.string()
    # Parquet has no struct without fields.
    return pa.string() if "struct<>" in str(type_) else type_


def _wider(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    if {a, b} == {pa.int64(), pa.float64()}:
        return pa.float64()
    try:
        return (
            pa.unify_schemas([pa.schema([("v", a)]), pa.schema([("v", b)])], promote_options="permissive").field(0).type
        )
    except pa.ArrowException:
        return pa.string()


def merged_schema(schemas: list[pa.Schema]) -> pa.Schema:
    """Merge the carried columns of several uri lists; if types differ, the wider one wins."""
    types: dict[str, pa.DataType] = {}
    for schema in schemas:
        for field in schema:
            types[field.name] = _wider(types.get(field.name, pa.null()), field.type)
    return pa.schema(list(types.items()))
