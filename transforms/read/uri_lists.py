"""Read uri lists: text, CSV, TSV, JSON lines and Parquet files of uris with columns, on any Beam filesystem.

What is promised of carried values:

- Parquet and JSON lines state the types of their values, which come back by value. A JSON key that a row lacks is null.
- CSV does not: a column is one of int64 or float64 if that keeps every digit of every value, and an empty field is null
  there. Any other column comes back by its text, so that `007` stays `007`.
- A column of several types, in one list or in several, has the narrowest type that holds all values. Whole numbers join
  fractions in float64 if none is beyond 2**53. If there is no such type the values become text: JSON's for numbers,
  true, false, lists and objects, ISO 8601 for times.
- A column of nulls is text. Dictionaries are unpacked, and lists of a fixed size are lists. What is nested over 32
  levels is JSON text.
- Times that Python cannot hold (nanoseconds, years past 9999, unknown time zones) travel as the integers that Arrow
  stores, and are times again in Parquet.
- The column that says a row's version is carried like any other; the version is the list's own text, whatever type
  other lists give the column.
- Where several workers read a list, each reads a part of it: rows, values and the numbers of rows are the same.
- A row with anything that cannot be carried like this, with bytes that are no UTF-8 outside of its uri, or beyond the
  bounds in `transforms.read.bounds`, is a `bad_row`. None is dropped, and none ends a run.
"""

import csv
import dataclasses
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from transforms.collection.columns import FAILURE_COLUMNS, carried_names
from transforms.collection.values import is_nested
from transforms.core.errors import UsageError, did_you_mean, one_line
from transforms.read.bounds import MAX_COLUMNS
from transforms.read.column_types import common_type
from transforms.read.formats import csv_rows, json_rows, parquet_rows, plain_rows
from transforms.read.formats.list_files import format_of
from transforms.read.formats.parts import Part
from transforms.read.formats.text_rows import ListColumns, Row

FORMATS: dict[str, Any] = {
    "text": plain_rows,
    "csv": csv_rows,
    "tsv": csv_rows,
    "json": json_rows,
    "parquet": parquet_rows,
}
"""The module of each format."""


@dataclasses.dataclass(frozen=True)
class UriList:
    """A uri list and what its path says about its rows.

    Attributes:
      path: the file.
      partitions: columns that are the same in all rows, from folders like `label=cat`.
      part: the part that is read; None for all of it.
    """

    path: str
    partitions: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    part: Part | None = None


@dataclasses.dataclass(frozen=True)
class Carried:
    """The carried columns of some uri lists.

    Attributes:
      uri_column: the column that holds the uri.
      version_column: the column that holds an image's version, '' if none does.
      schema: the columns in the output.
      names: their names in the output by those in the list, for each list's path.
      num_rows: number of rows of all lists.
      parts: parts in which a list can be read, for each list's path.
    """

    uri_column: str
    version_column: str
    schema: pa.Schema
    names: Mapping[str, Mapping[str, str]]
    num_rows: int
    parts: Mapping[str, tuple[Part, ...]]


def carried_by(lists: Iterable[UriList], uri_column: str, version_column: str = "") -> Carried:
    """Return what some uri lists carry, in the narrowest types that hold all of their values.

    Raises:
      UsageError: a list cannot be read, has no rows, or no column of uris or versions.
    """
    num_rows = 0
    types: dict[str, pa.DataType] = {}
    sources: dict[str, list[tuple[ListColumns, str]]] = {}
    names: dict[str, Mapping[str, str]] = {}
    parts: dict[str, tuple[Part, ...]] = {}
    for one in lists:
        found = _columns(one, uri_column, version_column)
        num_rows += found.num_rows
        parts[one.path] = found.parts
        names[one.path] = _names(found.types, uri_column)
        for name, output in names[one.path].items():
            holders = sources.setdefault(output, [])
            holders.append((found, name))
            old, new = types.get(output, pa.null()), found.types[name]
            # Whether there is a long integer is expensive to know for Parquet, and seldom matters.
            wide = common_type(old, new, holds_long=False)
            if wide not in (old, new) or wide != common_type(old, new, holds_long=True):
                wide = common_type(old, new, any(columns.holds_long(column) for columns, column in holders))
            types[output] = wide
    text = {name: pa.string() if pa.types.is_null(type_) else type_ for name, type_ in types.items()}
    return Carried(uri_column, version_column, pa.schema(list(text.items())), names, num_rows, parts)


def data_rows(one: UriList, carried: Carried) -> Iterator[Row]:
    """Read the rows of a uri list in order: the uri as 'uri', as the list holds it, and the carried columns.

    With a version column, its text is there as 'version'.
    """
    names = carried.names[one.path]
    fields = {name: carried.schema.field(output) for name, output in names.items()}
    wanted = {name: field for name, field in fields.items() if name not in one.partitions}
    same = {
        fields[name].name: csv_rows.to_arrow([value], fields[name].type).to_pylist()[0]
        for name, value in one.partitions.items()
        if name in fields
    }
    version_column = carried.version_column
    if version_column in one.partitions:
        same["version"], version_column = one.partitions[version_column], ""
    found = FORMATS[format_of(one.path)].rows(one.path, carried.uri_column, wanted, version_column, one.part)
    return ((why, {} if why else {**row, **same}) for why, row in found) if same else found


def _columns(one: UriList, uri_column: str, version_column: str) -> ListColumns:
    path = one.path
    try:
        found = FORMATS[format_of(path)].columns(path, uri_column)
        if len(found.types) > MAX_COLUMNS:
            raise UsageError(f"it has {len(found.types):,} columns; at most {MAX_COLUMNS:,} are carried")
    except UsageError as e:
        raise UsageError(f"the uri list {path} cannot be used: {e}") from e
    except (OSError, EOFError, zlib.error, UnicodeError, pa.ArrowException, csv.Error) as e:
        raise UsageError(f"cannot read the uri list {path}: {one_line(e)}; check the file, or make it anew") from e
    if not found.num_rows:
        raise UsageError(f"the uri list {path} has no rows")
    if not found.types:
        raise UsageError(f"the uri list {path} has no row that can be read; its last one is {found.last_fault}")
    if uri_column in one.partitions:
        raise UsageError(
            f"the uri list {path} lies in a folder {uri_column}=..., which states the column of uris for all its rows; "
            "rename the folder, or choose another column with --uri_column"
        )
    _check_column(path, found.types, uri_column, "uri")
    found = _with_partitions(found, one.partitions)
    if version_column:
        _check_column(path, found.types, version_column, "version")
    return found


def _check_column(path: str, types: Mapping[str, pa.DataType], name: str, what: str) -> None:
    if name not in types:
        raise UsageError(
            f"the uri list {path} has no column {name!r}{did_you_mean(name, types)}; "
            f"it has {_listed(types)}; choose one with --{what}_column"
        )
    if is_nested(types[name]):
        raise UsageError(
            f"the column {name!r} of the uri list {path} holds {types[name]}, and a {what} is text; "
            f"choose another with --{what}_column, or make one"
        )


def _with_partitions(found: ListColumns, partitions: Mapping[str, str | None]) -> ListColumns:
    """Add the columns that folders state, typed like CSV's; they stand for columns of that name in the file."""
    types = {name: csv_rows.type_of(value) for name, value in partitions.items()}

    def holds_long(name: str) -> bool:
        return csv_rows.is_long(partitions[name]) if name in partitions else found.holds_long(name)

    return dataclasses.replace(found, types={**found.types, **types}, holds_long=holds_long)


def _names(names: Iterable[str], uri_column: str) -> dict[str, str]:
    """Return the names in the output of a list's columns, without the uri and a failures file's own columns."""
    all_names = list(names)
    # Failures files did not always tell a version.
    own = FAILURE_COLUMNS if {*FAILURE_COLUMNS} - {"version"} <= set(all_names) else ()
    return {name: new for name, new in carried_names(all_names).items() if name != uri_column and name not in own}


def _listed(names: Iterable[str], limit: int = 300) -> str:
    text = ", ".join(names)
    return text if len(text) <= limit else text[: limit - 1] + "…"
