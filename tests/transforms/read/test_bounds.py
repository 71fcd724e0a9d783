"""The size of a value is that of all it holds, however Arrow stores it."""

from typing import Any

import pyarrow as pa
import pytest

from transforms.read.bounds import CELL_BYTES, cell_bytes, too_large

MAP = pa.map_(pa.string(), pa.list_(pa.int64()))


@pytest.mark.parametrize(
    ("values", "type_", "sizes"),
    [
        ([1, None], pa.int64(), [8, 8]),
        (["abc", None, "ä", ""], pa.string(), [3, 0, 2, 0]),
        ([b"abc", None], pa.large_binary(), [3, 0]),
        (["abc", None, "abc"], pa.dictionary(pa.int8(), pa.string()), [3, 0, 3]),
        ([None], pa.dictionary(pa.int8(), pa.string()), [0]),
        ([["ab"], None, [], ["c", "def"]], pa.list_(pa.string()), [2, 0, 0, 4]),
        ([{"a": "abc", "b": ["d"]}, None], pa.struct([("a", pa.string()), ("b", pa.list_(pa.string()))]), [4, 0]),
        ([[("k", [1, 2])], None, [("ab", None)]], MAP, [17, 0, 2]),
        ([], MAP, []),
    ],
)
def test_each_value_is_counted_with_all_that_it_holds(values: list[Any], type_: pa.DataType, sizes: list[int]) -> None:
    array = pa.array(values, type_)
    assert cell_bytes(array).tolist() == sizes
    assert cell_bytes(array[1:]).tolist() == sizes[1:]


def test_a_value_that_is_repeated_is_not_unpacked() -> None:
    """(4b) 2**31 copies of a value are counted in no time, and would not fit in memory."""
    long = pa.DictionaryArray.from_arrays(pa.array([0, 0, 0], pa.int32()), pa.array(["x" * 2**20]))
    assert cell_bytes(long).tolist() == [2**20] * 3


def test_only_what_is_beyond_the_bound_is_too_large() -> None:
    assert too_large(CELL_BYTES) == ""
    assert too_large(CELL_BYTES + 1) == "a value of 1,048,577 bytes; at most 1,048,576 are carried"
