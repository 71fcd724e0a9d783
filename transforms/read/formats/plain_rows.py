"""Rows of plain text: a uri in each line."""

from collections.abc import Iterator, Mapping

import pyarrow as pa

from transforms.read.formats.blocks import Blocks, PartedRows
from transforms.read.formats.list_files import is_packed, opened
from transforms.read.formats.parts import Part
from transforms.read.formats.text_lines import UTF8, Lines
from transforms.read.formats.text_rows import ListColumns, Row


def columns(path: str, uri_column: str) -> ListColumns:
    """Return the one column of a text file, which is the uri."""
    with opened(path) as f:
        all_rows = PartedRows(Blocks(f), _rows)
        num_rows = sum(1 for _ in all_rows)
    parts = () if is_packed(path) else all_rows.parts
    return ListColumns({uri_column: pa.string()}, lambda _: False, num_rows, parts=parts)


def rows(
    path: str, uri_column: str, wanted: Mapping[str, pa.Field], version_column: str = "", part: Part | None = None
) -> Iterator[Row]:
    """Yield each line of a text file as a uri; skip blank lines and comments (#)."""
    with opened(path, part) as f:
        yield from _rows(Lines(f, UTF8 if part else ""))


def _rows(lines: Lines) -> Iterator[Row]:
    for why, line, _ in lines.rows():
        if why:
            yield why, {}
        elif line[0] != "#" and (uri := line.strip()):
            yield "", {"uri": uri}
