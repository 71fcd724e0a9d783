"""Rows of Parquet, a row group in slices: neither a long row group nor a value that is repeated takes memory."""

import contextlib
import functools
import io
import itertools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.collection.values import UNUSABLE, as_text, to_python
from transforms.core.errors import UsageError, one_line
from transforms.read.bounds import CELL_BYTES, CHUNK_BYTES, MAX_COLUMNS, ROW_BYTES, cell_bytes, too_large
from transforms.read.column_types import carried_type, holds_long, is_bytes, is_text, plain_type
from transforms.read.formats.csv_rows import unique
from transforms.read.formats.list_files import is_packed, opened, opened_anywhere
from transforms.read.formats.parts import PART_BYTES, Part
from transforms.read.formats.text_rows import ListColumns, Row, faults_of, version_field
from transforms.read.values import Values, carried_values

BATCH_ROWS = 1 << 14
"""Maximum number of rows that are read at a time; fewer cost more, since each batch has its dictionaries anew."""
BUFFER_BYTES = 1 << 20
"""Bytes of each column that are read ahead."""
LISTED_VALUES = 1 << 27
"""Values of lists in a row group, above which one that takes less than a bit a value is not unpacked: it may be one
list."""

Batches = Iterator[tuple[int, pa.RecordBatch | str]]
"""Numbers of rows, with the rows or why they cannot be read."""


class _List(NamedTuple):
    """An open Parquet file, and by unique name the types that it gives its columns."""

    file: pq.ParquetFile
    types: dict[str, pa.DataType]


def columns(path: str, uri_column: str) -> ListColumns:
    """Return the columns of a Parquet file, of which only the footer is read.

    Raises:
      UsageError: there are too many columns.
    """
    with _opened(path) as f:
        file, types = _list(f)
        metadata = file.metadata
    carried = {name: carried_type(type_) for name, type_ in types.items()}
    parts = () if is_packed(path) else _parts(metadata)
    return ListColumns(carried, functools.partial(_holds_long, path), metadata.num_rows, parts=parts)


def _opened(path: str) -> contextlib.AbstractContextManager[Any]:
    return opened(path) if is_packed(path) else opened_anywhere(path)


def _parts(metadata: pq.FileMetaData) -> tuple[Part, ...]:
    """Return row groups that follow one another, until they take PART_BYTES."""
    parts, start, num_bytes, rows_before, rows = list[Part](), 0, 0, 0, 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        num_bytes, rows = num_bytes + group.total_byte_size, rows + group.num_rows
        if num_bytes >= PART_BYTES or number == metadata.num_row_groups - 1:
            parts.append(Part(start, number + 1, rows_before))
            start, num_bytes, rows_before = number + 1, 0, rows
    return tuple(parts) if len(parts) > 1 else ()


def _holds_long(path: str, name: str) -> bool:
    with _opened(path) as f:
        file, types = _list(f)
        column = file.schema_arrow.names[list(types).index(name)]
        return any(
            holds_long(array.cast(plain_type(array.type)))
            for _, batch in _batches(file, range(file.num_row_groups), [column])
            if not isinstance(batch, str)
            for array in batch.columns
        )


def rows(
    path: str, uri_column: str, wanted: Mapping[str, pa.Field], version_column: str = "", part: Part | None = None
) -> Iterator[Row]:
    """Yield the rows of a Parquet file: the uri as 'uri', the wanted columns as the output names and types them.

    With a version column, its text is there as 'version'.
    """
    taken = [*wanted.items(), *version_field(version_column)]
    with _opened(path) as f:
        file, types = _list(f)
        groups = range(part.start, part.stop or 0) if part else range(file.num_row_groups)
        for num_rows, batch in _batches(file, groups):
            if isinstance(batch, str):
                yield from itertools.repeat((batch, {}), num_rows)
            else:
                arrays = dict(zip(types, batch.columns, strict=True))
                used = {name: arrays[name] for name in dict.fromkeys((uri_column, *(name for name, _ in taken)))}
                yield from _bounded_rows(used, types, uri_column, taken)


def _list(f: Any) -> _List:
    file = pq.ParquetFile(f)
    schema, metadata = file.schema_arrow, file.metadata
    if metadata.num_columns > MAX_COLUMNS:
        raise UsageError(f"it has {metadata.num_columns:,} columns; at most {MAX_COLUMNS:,} are carried")
    if any(map(_has_odd_lists, schema.types)):
        metadata = _without_arrow_schema(f)
    # A value that is repeated is there once, until it is known whether it is too large.
    leaves = [file.schema.column(i) for i in range(len(file.schema))]
    repeated = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    file = pq.ParquetFile(f, metadata=metadata, read_dictionary=repeated, buffer_size=BUFFER_BYTES)
    return _List(file, dict(zip(unique(schema.names), schema.types, strict=True)))


def _has_odd_lists(type_: pa.DataType) -> bool:
    """Whether there are lists that Arrow cannot read back or unpack: of a fixed size (arrow 34614), and views."""
    tests = (pa.types.is_fixed_size_list, pa.types.is_list_view, pa.types.is_large_list_view)
    return any(test(type_) for test in tests) or any(
        _has_odd_lists(type_.field(i).type) for i in range(type_.num_fields) if pa.types.is_nested(type_)
    )


def _without_arrow_schema(f: Any) -> pq.FileMetaData:
    """Return the footer of a Parquet file as if Arrow had left no schema there: Parquet knows lists of one kind only.

    The last 8 bytes of a file are the footer's length and `PAR1`.
    """
    f.seek(-8, io.SEEK_END)
    length = int.from_bytes(f.read(4), "little")
    f.seek(-8 - length, io.SEEK_END)
    footer = f.read(length + 8).replace(b"ARROW:schema", b"ARROW-schema")
    return pq.read_metadata(io.BytesIO(b"PAR1" + footer))


def _batches(file: pq.ParquetFile, groups: range, names: list[str] | None = None) -> Batches:
    """Yield the rows of row groups, as many at a time as CHUNK_BYTES hold on average."""
    for number in groups:
        group = file.metadata.row_group(number)
        chunks = [group.column(i) for i in range(group.num_columns)]
        row_bytes = sum(max(c.total_uncompressed_size, 8 * c.num_values) for c in chunks) / max(group.num_rows, 1)
        if row_bytes > ROW_BYTES:
            yield group.num_rows, f"a row group whose rows have {row_bytes:,.0f} bytes; at most {ROW_BYTES:,} are read"
            continue
        if any(c.num_values > max(LISTED_VALUES, group.num_rows, 8 * c.total_uncompressed_size) for c in chunks):
            yield group.num_rows, f"a row group that unpacks to lists of over {LISTED_VALUES:,} values"
            continue
        size = int(min(max(CHUNK_BYTES // max(row_bytes, 1), 1), BATCH_ROWS))
        left = group.num_rows
        try:
            for batch in file.iter_batches(size, row_groups=[number], columns=names):
                left -= batch.num_rows
                yield batch.num_rows, batch
        except (*UNUSABLE, OSError, MemoryError) as e:
            yield left, f"a row group that cannot be read: {one_line(e)}"


def _bounded_rows(
    used: Mapping[str, pa.Array], types: Mapping[str, pa.DataType], uri_column: str, taken: list[tuple[str, pa.Field]]
) -> Iterator[Row]:
    """Yield the rows of a batch; values are unpacked for CHUNK_BYTES of rows at a time."""
    num_rows = len(used[uri_column])
    faults: dict[int, str] = {}
    total = np.zeros(num_rows, np.int64)
    for name, array in used.items():
        sizes = cell_bytes(array)
        total += sizes
        for i in np.flatnonzero(sizes > CELL_BYTES).tolist():
            faults.setdefault(i, f"column {name!r}: {too_large(int(sizes[i]))}")
    for i in np.flatnonzero(total > ROW_BYTES).tolist():
        faults.setdefault(i, f"a row of {total[i]:,} bytes; at most {ROW_BYTES:,} are carried")
    if faults:
        kept = np.setdiff1d(np.arange(num_rows), list(faults))
        used, total = {name: array.take(pa.array(kept)) for name, array in used.items()}, total[kept]
    bounds = [0, *(np.flatnonzero(np.diff(np.cumsum(total) // CHUNK_BYTES)) + 1).tolist(), len(total)]
    good = itertools.chain.from_iterable(
        _converted({name: array[start:stop] for name, array in used.items()}, types, uri_column, taken)
        for start, stop in itertools.pairwise(bounds)
    )
    if not faults:
        yield from good
        return
    for i in range(num_rows):
        yield (faults[i], {}) if i in faults else next(good)


def _converted(
    used: Mapping[str, pa.Array], types: Mapping[str, pa.DataType], uri_column: str, taken: list[tuple[str, pa.Field]]
) -> Iterator[Row]:
    uris, unusable = _uris(used[uri_column])
    if not uris:
        return
    found = [
        carried_values(used[name], field.type, functools.partial(_to_arrow, own=plain_type(types[name])))
        for name, field in taken
    ]
    faults = faults_of([name for name, _ in taken], [why for _, why in found])
    faults |= {i: f"column {uri_column!r}: {why}" for i, why in unusable.items()}
    names = ["uri", *(field.name for _, field in taken)]
    for i, values in enumerate(zip(uris, *(column for column, _ in found), strict=True)):
        yield (faults[i], {}) if i in faults else ("", dict(zip(names, values, strict=True)))


def _uris(array: pa.Array) -> Values:
    """Return uris as text or as bytes, since a name of a file need not be UTF-8, and why others are none."""
    array = array.cast(plain_type(array.type))
    if not is_text(array.type):
        if is_bytes(array.type):
            return array.to_pylist(), {}
        return carried_values(array, pa.string(), functools.partial(_to_arrow, own=array.type))
    try:
        return array.to_pylist(), {}
    except UnicodeDecodeError:
        return array.cast(pa.binary()).to_pylist(), {}


def _to_arrow(array: pa.Array, type_: pa.DataType, own: pa.DataType) -> pa.Array:
    """Return a column of the plain type `own` as an array of the output's type; raise one of UNUSABLE."""
    array = array.cast(own)
    if not is_text(type_) or is_text(own):
        return array.cast(type_)
    return pa.array([as_text(value) for value in to_python(array, integers=False)], type_)
