"""Rows of JSON lines: objects, whose absent keys are null."""

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from transforms.collection.values import as_text
from transforms.core.errors import one_line
from transforms.read.bounds import MAX_COLUMNS
from transforms.read.column_types import is_text
from transforms.read.formats.blocks import Blocks, PartedRows
from transforms.read.formats.found_columns import FoundColumns
from transforms.read.formats.list_files import is_packed, opened
from transforms.read.formats.parts import Part
from transforms.read.formats.text_lines import UTF8, Lines
from transforms.read.formats.text_rows import ListColumns, Row, SizedRow, typed_rows


def columns(path: str, uri_column: str) -> ListColumns:
    """Return the columns of a file of JSON lines: all keys, in the order in which they first occur."""
    found = FoundColumns(pa.array, is_typed=True)
    with opened(path) as f:
        all_rows = PartedRows(Blocks(f), _rows)
        found.add_rows(all_rows)
    return dataclasses.replace(found.columns(), parts=() if is_packed(path) else all_rows.parts)


def rows(
    path: str, uri_column: str, wanted: Mapping[str, pa.Field], version_column: str = "", part: Part | None = None
) -> Iterator[Row]:
    """Yield the rows of a file of JSON lines, as `typed_rows` does."""
    with opened(path, part) as f:
        yield from typed_rows(_rows(Lines(f, UTF8 if part else "")), uri_column, wanted, to_arrow, version_column)


def _rows(lines: Lines) -> Iterator[SizedRow]:
    for why, line, size in lines.rows():
        if why:
            yield f"not JSON: {why}", {}, size
        elif not line.isspace():
            yield *_row(line), size


def _row(line: str) -> Row:
    try:
        row = json.loads(line, object_pairs_hook=_object, parse_float=_float)
        if not isinstance(row, dict):
            return "a line of JSON that is not an object", {}
        if len(row) > MAX_COLUMNS:
            return f"an object of {len(row):,} keys; at most {MAX_COLUMNS:,} are carried", {}
        if not line.isascii() or "\\u" in line:
            # A column's name must be text, and half a character in a uri is no name of a file.
            "".join(row).encode()
            json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except (ValueError, RecursionError) as e:
        return f"not JSON: {one_line(e)}", {}
    return "", row


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; raise ValueError for a key that stands twice, of which Python would keep the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        (key, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {key!r} stands twice")
    return found


def _float(text: str) -> float:
    """Return a fraction; raise ValueError for one that would become infinity, for which JSON lines write Infinity."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text} is beyond float64")
    return number


def to_arrow(values: list[Any], type_: pa.DataType) -> pa.Array:
    """Return the values of a column as an array of the column's type."""
    if is_text(type_):
        values = [as_text(value) for value in values]
    return pa.array(values, type_)
