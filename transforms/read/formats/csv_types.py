"""Types of the columns of CSV, found block by block: Arrow parses a block as Python does if each line of it is a row.

Where a quoted field spans lines, or bytes are no UTF-8, Python reads on.
"""

import contextlib
import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from transforms.read.formats.blocks import Blocks
from transforms.read.formats.found_columns import FoundColumns
from transforms.read.formats.parts import FoundParts, Part
from transforms.read.formats.text_rows import SizedRow

RowsOf = Callable[[Any, str, list[str]], Iterator[SizedRow]]
"""A file behind its header, its encoding and the names of its columns -> its rows."""


def find_types(
    blocks: Blocks, names: list[str], delimiter: str, rows_of: RowsOf, found: FoundColumns, parts: FoundParts
) -> tuple[Part, ...]:
    """Read what is behind a header, and add what the columns hold to `found`; return the parts of the list."""
    for block in blocks:
        start, rows_before = blocks.start, found.num_rows
        if _add_block(block, names, delimiter, found):
            parts.add(start, block, rows_before)
            continue
        if b'"' in block:
            # A quoted field may span any number of lines.
            blocks.give_back(block)
            break
        found.add_rows(rows_of(io.BytesIO(block), blocks.encoding, names))
        parts.add(start, block, rows_before)
    found_parts = parts.end(blocks.stop, found.num_rows)
    found.add_rows(rows_of(blocks.rest(), blocks.encoding, names))
    return found_parts


def header_size(block: bytes, delimiter: str) -> int:
    """Return how many bytes of a block the header takes with the blank lines before it, 0 if it may span lines."""
    size = len(block) - len(block.lstrip(b"\r\n"))
    size = block.find(b"\n", size) + 1
    # What is behind the header is a row of its own only if the header leaves no quote open.
    with contextlib.suppress(csv.Error, UnicodeError):
        text = block[:size].decode(errors="surrogateescape")
        rows = [row for row in csv.reader(io.StringIO(f"{text}x\n", newline=""), delimiter=delimiter) if row]
        return size if len(rows) == 2 and rows[1] == ["x"] else 0
    return 0


def _add_block(block: bytes, names: list[str], delimiter: str, found: FoundColumns) -> bool:
    """Add a block if each of its lines is a row or blank; else return False and add nothing."""
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    while b"\n\n" in block:
        block = block.replace(b"\n\n", b"\n")
    block = block.removeprefix(b"\n")
    if b"\r" in block or b"\0" in block:
        return False
    faults: list[str] = []

    def skip(row: Any) -> str:
        faults.append(f"{row.actual_columns} fields where the header has {row.expected_columns}")
        return "skip"

    # A row of empty fields ends the block, which a quote that is still open would swallow.
    end = (delimiter * (len(names) - 1) or '""').encode()
    numbers = {str(i): name for i, name in enumerate(names)}
    open_ = [number for number, name in numbers.items() if found.types.get(name) != pa.string()]
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(block + end + b"\n"),
            pa_csv.ReadOptions(use_threads=False, column_names=list(numbers), block_size=len(block) + len(end) + 1),
            pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip),
            pa_csv.ConvertOptions(
                column_types=dict.fromkeys(numbers, pa.string()),
                include_columns=open_ or list(numbers)[:1],
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return False
    if table.num_rows - 1 + len(faults) != block.count(b"\n"):
        return False
    found.add_faults(table.num_rows - 1 + len(faults), faults)
    for number in open_:
        found.add_texts(numbers[number], table.column(number).combine_chunks())
    return True
