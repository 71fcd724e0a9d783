"""Rows of CSV and TSV: text, in which a column is a column of numbers if that keeps every digit of every value."""

import csv
import dataclasses
import decimal
import functools
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from transforms.core.errors import UsageError, one_line
from transforms.read.bounds import MAX_COLUMNS, ROW_BYTES
from transforms.read.column_types import holds_long
from transforms.read.formats.blocks import Blocks
from transforms.read.formats.csv_types import find_types, header_size
from transforms.read.formats.found_columns import FoundColumns
from transforms.read.formats.list_files import format_of, is_packed, opened
from transforms.read.formats.parts import FoundParts, Part
from transforms.read.formats.text_lines import UTF8, Lines, TooLongError
from transforms.read.formats.text_rows import ListColumns, Row, SizedRow, typed_rows

# Python's limit of 131,072 characters would lose rows; `Lines` bounds them already.
csv.field_size_limit(max(csv.field_size_limit(), ROW_BYTES))

DELIMITERS = {"csv": ",", "tsv": "\t"}
INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"
SHORT_NUMBER = r"^(0|-?[1-9][0-9]{0,17}|-?(0|[1-9][0-9]{0,6})\.(0|[0-9]{0,7}[1-9]))$"
"""Whole numbers, and fractions of up to 15 digits, which a float64 always keeps (IEEE 754)."""
NUMBER = r"^(0|-?[1-9][0-9]{0,17}|-?(0|[1-9][0-9]{0,17})\.(0|[0-9]{0,29}[1-9]))$"
"""Numbers whose text is the number's own: 1.10 and 1.1 stay two texts."""


def columns(path: str, uri_column: str) -> ListColumns:
    """Return the columns of a CSV file.

    Raises:
      UsageError: the header has too many columns.
    """
    delimiter = DELIMITERS[format_of(path)]
    found, parts = FoundColumns(number_array), tuple[Part, ...]()
    with opened(path) as f:
        blocks = Blocks(f)
        first = next(blocks, b"")
        blocks.give_back(first)
        if size := header_size(first, delimiter):
            head = blocks.take(size)
            names = header(csv.reader(Lines(io.BytesIO(head), blocks.encoding), delimiter=delimiter))
            rows_of = functools.partial(_rows_behind, delimiter=delimiter)
            parts = find_types(blocks, names, delimiter, rows_of, found, FoundParts(head))
        else:
            lines = Lines(blocks.rest(), blocks.encoding)
            reader = csv.reader(lines, delimiter=delimiter)
            names = header(reader)
            found.add_rows(_rows(reader, lines, names))
    types = {name: found.types.get(name, pa.null()) for name in names}
    return dataclasses.replace(found.columns(), types=types, parts=() if is_packed(path) else parts)


def _rows_behind(f: Any, encoding: str, names: list[str], delimiter: str) -> Iterator[SizedRow]:
    lines = Lines(f, encoding)
    return _rows(csv.reader(lines, delimiter=delimiter), lines, names)


def rows(
    path: str, uri_column: str, wanted: Mapping[str, pa.Field], version_column: str = "", part: Part | None = None
) -> Iterator[Row]:
    """Yield the rows of a CSV file, as `typed_rows` does."""
    with opened(path, part) as f:
        lines = Lines(f, UTF8 if part else "")
        reader = csv.reader(lines, delimiter=DELIMITERS[format_of(path)])
        yield from typed_rows(_rows(reader, lines, header(reader)), uri_column, wanted, to_arrow, version_column)


def header(reader: Iterator[list[str]]) -> list[str]:
    """Read the first row that is not blank: names, the second `a` as `a_2`.

    Raises:
      UsageError: there are more than MAX_COLUMNS.
    """
    names = next(filter(None, reader), [])
    if len(names) > MAX_COLUMNS:
        raise UsageError(f"it has {len(names):,} columns; at most {MAX_COLUMNS:,} are carried")
    return unique(names)


def unique(names: Sequence[str]) -> list[str]:
    """Return names of which none occurs twice: each one that did gets the first free number behind it."""
    taken = set(names)
    numbers = {name: itertools.count(2) for name in names}
    seen: set[str] = set()
    found: list[str] = []
    for name in names:
        free = name
        while free in seen or (free != name and free in taken):
            free = f"{name}_{next(numbers[name])}"
        seen.add(free)
        found.append(free)
    return found


def _rows(reader: Iterator[list[str]], lines: Lines, names: list[str]) -> Iterator[SizedRow]:
    """Yield rows with their sizes; the rows behind a stray quote, which makes text of them, are read by themselves."""
    lines.row_ended()
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except (csv.Error, TooLongError) as e:
            yield f"not CSV: {one_line(e)}", {}, 0
            lines.give_again()
            continue
        if lines.at_end:
            yield "not CSV: a quote that is never closed", {}, 0
            lines.give_again()
            continue
        size = lines.row_ended()
        if len(row) == len(names):
            yield "", dict(zip(names, row, strict=True)), size
        elif row:
            yield f"{len(row)} fields where the header has {len(names)}", {}, size


def number_array(values: list[str] | pa.Array) -> pa.Array:
    """Return those of some texts that are not empty as integers, or else as floats.

    Raises:
      ValueError: that would lose a digit of one of them.
    """
    text = pa.array(values, pa.string())
    text = text.filter(pc.not_equal(text, ""))
    if not len(text):
        return pa.nulls(0)
    if pc.all(pc.match_substring_regex(text, INTEGER)).as_py():
        return text.cast(pa.int64())
    if not pc.all(pc.match_substring_regex(text, NUMBER)).as_py():
        raise ValueError("not numbers")
    short = pc.match_substring_regex(text, SHORT_NUMBER)
    if not all(map(_is_exact, text.filter(pc.invert(short)).to_pylist())):
        raise ValueError("longer than a float64")
    whole = text.filter(pc.match_substring_regex(text, INTEGER)).cast(pa.int64())
    whole.cast(pa.float64())
    return text.cast(pa.float64())


def type_of(value: str | None) -> pa.DataType:
    """Return the type of a column of this one value."""
    try:
        return number_array([value or ""]).type
    except ValueError:
        return pa.string()


def is_long(value: str | None) -> bool:
    """Whether a value is an integer beyond 2**53."""
    return type_of(value) == pa.int64() and holds_long(number_array([value or ""]))


def _is_exact(value: str) -> bool:
    return decimal.Decimal(value) == decimal.Decimal(repr(float(value)))


def to_arrow(values: list[str | None], type_: pa.DataType) -> pa.Array:
    """Return the text of a column as an array of the column's type; an empty field of a number is null."""
    if pa.types.is_integer(type_) or pa.types.is_floating(type_):
        return pa.array([value or None for value in values], pa.string()).cast(type_)
    return pa.array(values, type_)
