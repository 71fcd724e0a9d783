"""The type of a column does not depend on where a chunk ends, nor on which of its values are looked at."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.read.bounds import CHUNK_ROWS
from transforms.read.formats import text_rows
from transforms.read.formats.found_columns import found_columns


@pytest.mark.parametrize(
    ("first", "last", "type_"),
    [
        (1, 0.5, pa.float64()),
        (2**53 + 1, 0.5, pa.string()),
        (0.5, 2**53 + 1, pa.string()),
        ([2**60], [0.5], pa.string()),
        ([1], [0.5], pa.list_(pa.float64())),
        (1, "x", pa.string()),
        (0.5, True, pa.string()),
        (True, 0.5, pa.string()),
        ([0.5], [True], pa.string()),
        ([0.5, True], None, pa.string()),
        ({"a": 0.5, "b": True}, None, pa.struct([("a", pa.float64()), ("b", pa.bool_())])),
        ({"a": 0.5}, {"a": True}, pa.string()),
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


SCALARS = st.sampled_from(
    [None, True, "x", 0, 1, -5, 2**53, 2**53 + 1, -(2**60), 2**63, 2**70, 0.5, -1.0, float("nan")]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ba"), inner, max_size=2),
    max_leaves=4,
)
ROWS = st.lists(
    st.dictionaries(st.sampled_from("uvw"), st.one_of(SCALARS, VALUES), max_size=3)
    | st.fixed_dictionaries({"v": st.sampled_from([1, 2, 0.5, None])}),
    max_size=30,
)


@given(ROWS, st.integers(1, 8))
@settings(max_examples=300)
def test_values_of_a_type_that_was_seen_change_nothing(rows: list[dict[str, Any]], chunk_rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_rows, "CHUNK_ROWS", chunk_rows)
        all_, new = (found_columns([("", row, 1) for row in rows], pa.array, is_typed=typed) for typed in (False, True))
    assert list(new.types.items()) == list(all_.types.items())
    assert [new.holds_long(name) for name in "uvw"] == [all_.holds_long(name) for name in "uvw"]
    assert new.num_rows == all_.num_rows == len(rows)
