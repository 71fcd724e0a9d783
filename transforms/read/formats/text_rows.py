"""Rows of lists of text: gathered into chunks, from which the types of columns are found and values are taken."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from transforms.read.bounds import CHUNK_BYTES, CHUNK_ROWS
from transforms.read.column_types import carried_type, common_type, holds_long
from transforms.read.values import ToArrow, carried_values

Row = tuple[str, dict[str, Any]]
"""('', columns) of a row that was read, or (why, {}) of one that could not be."""

SizedRow = tuple[str, dict[str, Any], int]
"""A `Row` with its size in characters."""

ArrayOf = Callable[[list[Any]], pa.Array]
"""Some values of a column -> an array of the narrowest type that holds them; raises ValueError if none does."""


@dataclasses.dataclass(frozen=True)
class ListColumns:
    """What the columns of a list are.

    Attributes:
      types: carried type of each column, in their order; Arrow's null if all values are null.
      holds_long: function, name -> whether a column holds an integer beyond 2**53.
      num_rows: number of rows, those that cannot be read included.
      last_fault: why the last of these cannot be read.
    """

    types: Mapping[str, pa.DataType]
    holds_long: Callable[[str], bool]
    num_rows: int
    last_fault: str = ""


def chunks(rows: Iterable[SizedRow]) -> Iterator[list[Row]]:
    """Gather rows into lists of bounded size."""
    chunk: list[Row] = []
    taken = 0
    for why, row, size in rows:
        chunk.append((why, row))
        taken += size
        if len(chunk) >= CHUNK_ROWS or taken >= CHUNK_BYTES:
            yield chunk
            chunk, taken = [], 0
    if chunk:
        yield chunk


def found_columns(rows: Iterable[SizedRow], array_of: ArrayOf) -> ListColumns:
    """Read all rows, and return the columns with the narrowest types that hold their values."""
    types: dict[str, pa.DataType] = {}
    long: set[str] = set()
    num_rows, last_fault = 0, ""
    for chunk in chunks(rows):
        num_rows += len(chunk)
        last_fault = next((why for why, _ in reversed(chunk) if why), last_fault)
        for name in dict.fromkeys(name for _, row in chunk for name in row):
            old = types.setdefault(name, pa.null())
            if old != pa.string():
                values = [row[name] for _, row in chunk if name in row]
                types[name] = _widened(old, name, values, array_of, long)
    return ListColumns(types, long.__contains__, num_rows, last_fault)


def _widened(old: pa.DataType, name: str, values: list[Any], array_of: ArrayOf, long: set[str]) -> pa.DataType:
    try:
        array = array_of(values)
    except (pa.ArrowException, ArithmeticError, TypeError, ValueError):
        if len(values) == 1:
            return pa.string()
        for value in values:
            old = _widened(old, name, [value], array_of, long)
            if old == pa.string():
                break
        return old
    if pa.types.is_null(array.type):
        return old
    type_ = carried_type(array.type)
    if type_ != pa.string() and holds_long(array):
        long.add(name)
    return common_type(old, type_, name in long)


def typed_rows(
    rows: Iterable[SizedRow],
    uri_column: str,
    wanted: Mapping[str, pa.Field],
    to_arrow: ToArrow,
    version_column: str = "",
) -> Iterator[Row]:
    """Yield each row with its uri as 'uri', and the wanted columns under the names and with the types of the output.

    With a version column, its text is there as 'version'.
    """
    taken = [*wanted.items(), *version_field(version_column)]
    columns, names = [column for column, _ in taken], [field.name for _, field in taken]
    for chunk in chunks(rows):
        good = [row for why, row in chunk if not why]
        found = [carried_values([row.get(column) for row in good], field.type, to_arrow) for column, field in taken]
        faults = faults_of(columns, [why for _, why in found])
        values = zip(*(column for column, _ in found), strict=True) if found else iter([()] * len(good))
        position = 0
        for why, row in chunk:
            if why:
                yield why, {}
                continue
            carried = next(values)
            fault = faults.get(position, "")
            position += 1
            yield (fault, {}) if fault else ("", {"uri": row.get(uri_column), **dict(zip(names, carried, strict=True))})


def version_field(version_column: str) -> list[tuple[str, pa.Field]]:
    """Return where a row's version is and what it becomes: [(column, field)], [] without a version column."""
    return [(version_column, pa.field("version", pa.string()))] if version_column else []


def faults_of(columns: Iterable[str], faults: Iterable[Mapping[int, str]]) -> dict[int, str]:
    """Return why rows cannot be carried, by position; the first column at fault is named."""
    found: dict[int, str] = {}
    for name, by_position in zip(columns, faults, strict=True):
        for position, why in by_position.items():
            found.setdefault(position, f"column {name!r}: {why}")
    return found
