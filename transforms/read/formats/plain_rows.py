"""Rows of plain text: a uri in each line."""

from collections.abc import Iterator, Mapping

import pyarrow as pa

from transforms.read.formats.list_files import opened
from transforms.read.formats.text_lines import Lines
from transforms.read.formats.text_rows import ListColumns, Row


def columns(path: str, uri_column: str) -> ListColumns:
    """Return the one column of a text file, which is the uri."""
    return ListColumns({uri_column: pa.string()}, lambda _: False, sum(1 for _ in rows(path, uri_column, {})))


def rows(path: str, uri_column: str, wanted: Mapping[str, pa.Field], version_column: str = "") -> Iterator[Row]:
    """Yield each line of a text file as a uri; skip blank lines and comments (#)."""
    with opened(path) as f:
        for why, line, _ in Lines(f).rows():
            if why:
                yield why, {}
            elif line[0] != "#" and (uri := line.strip()):
                yield "", {"uri": uri}
