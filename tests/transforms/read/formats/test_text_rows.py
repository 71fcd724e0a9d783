"""Rows are gathered in bounded chunks, and the type of a column does not depend on where a chunk ends."""

from typing import Any

import pyarrow as pa
import pytest

from transforms.read.bounds import CHUNK_BYTES, CHUNK_ROWS
from transforms.read.formats.text_rows import chunks, faults_of, found_columns, typed_rows


def test_a_chunk_ends_by_rows_or_by_size() -> None:
    small = [("", {}, 1)] * (CHUNK_ROWS + 1)
    assert [len(chunk) for chunk in chunks(small)] == [CHUNK_ROWS, 1]
    large = [("", {}, CHUNK_BYTES // 2)] * 5
    assert [len(chunk) for chunk in chunks(large)] == [2, 2, 1]


@pytest.mark.parametrize(
    ("first", "last", "type_"),
    [
        (1, 0.5, pa.float64()),
        (2**53 + 1, 0.5, pa.string()),
        (0.5, 2**53 + 1, pa.string()),
        ([2**60], [0.5], pa.string()),
        ([1], [0.5], pa.list_(pa.float64())),
        (1, "x", pa.string()),
        (None, 1, pa.int64()),
        (None, None, pa.null()),
    ],
)
@pytest.mark.parametrize("between", [0, CHUNK_ROWS])
def test_a_column_has_the_type_of_all_its_values(first: Any, last: Any, type_: pa.DataType, between: int) -> None:
    """(2c) Whole numbers beside fractions, near or far."""
    values = [first, *[None] * between, last]
    found = found_columns((("", {"v": value}, 1) for value in values), pa.array)
    assert dict(found.types) == {"v": type_}
    assert found.num_rows == len(values)


def test_rows_that_cannot_be_read_are_counted_and_the_last_is_named() -> None:
    found = found_columns([("", {"v": 1}, 1), ("first", {}, 1), ("last", {}, 1), ("", {"w": 2**60}, 1)], pa.array)
    assert (found.num_rows, found.last_fault) == (4, "last")
    assert dict(found.types) == {"v": pa.int64(), "w": pa.int64()}
    assert [found.holds_long(name) for name in "vw"] == [False, True]


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
