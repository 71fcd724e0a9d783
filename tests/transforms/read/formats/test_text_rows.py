"""Rows are gathered in bounded chunks, and keep their order."""

import pyarrow as pa

from transforms.read.bounds import CHUNK_BYTES, CHUNK_ROWS
from transforms.read.formats.text_rows import chunks, faults_of, typed_rows, version_field


def test_a_chunk_ends_by_rows_or_by_size() -> None:
    small = [("", {}, 1)] * (CHUNK_ROWS + 1)
    assert [len(chunk) for chunk in chunks(small)] == [CHUNK_ROWS, 1]
    large = [("", {}, CHUNK_BYTES // 2)] * 5
    assert [len(chunk) for chunk in chunks(large)] == [2, 2, 1]


def test_rows_keep_their_order_their_faults_and_get_their_names() -> None:
    rows = [("", {"u": "a", "v": 1}, 1), ("why", {}, 1), ("", {"u": "b", "v": "x"}, 1), ("", {"u": "c"}, 1)]
    wanted = {"v": pa.field("n", pa.int64())}
    found = list(typed_rows(rows, "u", wanted, lambda values, type_: pa.array(values, type_)))
    assert [found[i] for i in (0, 1, 3)] == [
        ("", {"uri": "a", "n": 1}),
        ("why", {}),
        ("", {"uri": "c", "n": None}),
    ]
    assert found[2][0].startswith("column 'v': Could not convert 'x'")
    assert list(typed_rows(rows[:1], "u", {}, lambda values, type_: pa.array(values, type_))) == [("", {"uri": "a"})]


def test_the_first_column_at_fault_is_named() -> None:
    assert faults_of("ab", [{0: "x"}, {0: "y", 2: "z"}]) == {0: "column 'a': x", 2: "column 'b': z"}


def test_a_version_is_the_text_of_its_column() -> None:
    (field,) = version_field("etag")
    assert field == ("etag", pa.field("version", pa.string()))
    assert version_field("") == []
    rows = [("", {"u": "a", "etag": "007"}, 1), ("", {"u": "b"}, 1)]
    found = typed_rows(rows, "u", {"etag": pa.field("n", pa.int64())}, lambda v, type_: pa.array(v).cast(type_), "etag")
    assert list(found) == [
        ("", {"uri": "a", "n": 7, "version": "007"}),
        ("", {"uri": "b", "n": None, "version": None}),
    ]
