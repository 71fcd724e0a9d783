"""Types by blocks are those by rows, whatever is in a file and wherever a block ends."""

import csv
import pathlib
import tempfile

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from transforms.read.formats import blocks, csv_rows
from transforms.read.formats.csv_types import header_size
from transforms.read.formats.found_columns import found_columns
from transforms.read.formats.text_lines import Lines
from transforms.read.formats.text_rows import ListColumns

Found = tuple[dict[str, pa.DataType], set[str], int]
"""Types of columns, those of numbers that hold a long one, and the number of rows."""


def summary(found: ListColumns, names: list[str]) -> Found:
    types = {name: found.types.get(name, pa.null()) for name in names}
    return types, {name for name in names if types[name] != pa.string() and found.holds_long(name)}, found.num_rows


def by_rows(path: pathlib.Path) -> Found:
    """Find types the slow way: each row by Python's reader."""
    with open(path, "rb") as f:
        lines = Lines(f)
        reader = csv.reader(lines)
        names = csv_rows.header(reader)
        return summary(found_columns(csv_rows._rows(reader, lines, names), csv_rows.number_array), names)


def by_blocks(path: pathlib.Path) -> Found:
    found = csv_rows.columns(str(path), "uri")
    return summary(found, list(found.types))


def same(content: bytes, block_bytes: int) -> bool:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", block_bytes)
        path = pathlib.Path(folder) / "x.csv"
        path.write_bytes(content)
        assert by_blocks(path) == by_rows(path)
    return True


NUMBERS = [b"0", b"7", b"-12", b"1.5", b"9007199254740993", b"123456789012345678", b"0.1234567890123456", b"1.10"]
ODD = [b"007", b"1e5", b"x", b"9" * 19, b" 1", b"\xff", b"\xc3\xa4", b"a\0b", b"NA", b"null", b"nan", b"true"]
QUOTED = [b'"a"', b'"1"', b'"a,b"', b'"a""b"', b'"a\nb"', b'"a\r\n\r\nb"', b'a"b', b'"a"b', b'"', b'"a', b'""', b'a" ']
FIELDS = st.sampled_from([b"", b"", *NUMBERS, *NUMBERS, *ODD, *QUOTED])
LINES = st.lists(FIELDS, min_size=1, max_size=3).map(b",".join) | st.sampled_from([b"", b"1,2", b"1,2", b"1.5,", b",x"])
ENDS = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\r", b"\n\n"])
CONTENTS = st.tuples(
    st.sampled_from(
        [b"a,b", b"a", b'"a","b"', b'"a\nb",c', b"\n\na,b", b"a,a", b"\xef\xbb\xbfa,b", b"a,b\r1,2", b'a,"b']
    ),
    st.lists(st.tuples(ENDS, LINES), max_size=12),
    st.sampled_from([b"", b"\n"]),
).map(lambda parts: parts[0] + b"".join(end + line for end, line in parts[1]) + parts[2])


@given(CONTENTS, st.integers(1, 40) | st.just(1 << 20))
@settings(max_examples=300)
@example(b'a,b\n1,"x\n2,y\n3,"\n', 1 << 20)
@example(b'a,b\n1,"\n\n",3\n2,4\n', 1 << 20)
@example(b'a\n"1\n2\n', 1 << 20)
@example(b"a,b\n1,2\n3\n4,5,6\n7,x\n", 8)
@example(b"a,b\n9007199254740993,\n1.5,\n", 4)
@example("a,b\n1,2\n".encode("utf-16"), 4)
def test_types_by_blocks_are_those_by_rows(content: bytes, block_bytes: int) -> None:
    assert same(content, block_bytes)


@given(st.lists(st.tuples(*[st.sampled_from(NUMBERS)] * 2), min_size=1, max_size=40), st.integers(1, 99))
@settings(max_examples=100)
def test_numbers_by_blocks_are_those_by_rows(rows: list[tuple[bytes, bytes]], block_bytes: int) -> None:
    assert same(b"a,b\n" + b"".join(b",".join(row) + b"\n" for row in rows), block_bytes)


def test_a_block_is_read_without_pythons_reader(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotes, ragged rows and blank lines are no reason to be slow."""
    path = tmp_path / "x.csv"
    path.write_text('uri,v\n"a, b",1\n\nc"d,2\ne\n\nf,3\r\n')
    monkeypatch.setattr(csv_rows, "_rows_behind", lambda f, *_, **__: iter([("", {}, 0)] if f.read() else []))
    found = csv_rows.columns(str(path), "uri")
    assert (dict(found.types), found.num_rows) == ({"uri": pa.string(), "v": pa.int64()}, 4)
    assert found.last_fault == "1 fields where the header has 2"


@pytest.mark.parametrize(
    ("block", "size"),
    [
        (b"a,b\n1,2\n", 4),
        (b"\r\n\na,b\r\n1,2\n", 8),
        (b'"a","b, c"\n1,2\n', 11),
        (b'a"b,c\n1,2\n', 6),
        (b'a,"b\nc"\n1,2\n', 0),
        (b"a,b\r1,2\n", 0),
        (b"\n\n", 0),
        (b"", 0),
    ],
)
def test_a_header_ends_with_its_line_unless_a_quote_is_open(block: bytes, size: int) -> None:
    assert header_size(block, ",") == size


def test_a_line_longer_than_a_block_is_read(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 10)
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n" + "x" * 100 + ",3\n4,5\n")
    assert by_blocks(path) == ({"a": pa.string(), "b": pa.int64()}, set(), 3)
