"""Rows of lists of text: gathered into chunks, from which values are taken."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from transforms.read.bounds import CHUNK_BYTES, CHUNK_ROWS
from transforms.read.formats.parts import Part
from transforms.read.values import ToArrow, carried_values

Row = tuple[str, dict[str, Any]]
"""('', columns) of a row that was read, or (why, {}) of one that could not be."""

SizedRow = tuple[str, dict[str, Any], int]
"""A `Row` with its size in characters."""


@dataclasses.dataclass(frozen=True)
class ListColumns:
    """What the columns of a list are.

    Attributes:
      types: carried type of each column, in their order; Arrow's null if all values are null.
      holds_long: function, name -> whether a column holds an integer beyond 2**53.
      num_rows: number of rows, those that cannot be read included.
      last_fault: why the last of these cannot be read.
      parts: parts in which the list can be read; () if it is one.
    """

    types: Mapping[str, pa.DataType]
    holds_long: Callable[[str], bool]
    num_rows: int
    last_fault: str = ""
    parts: tuple[Part, ...] = ()


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
