"""Values that a type or a bound forbids are told with the reason, and the others are given."""

from typing import Any

import pyarrow as pa

from transforms.read.bounds import CELL_BYTES
from transforms.read.values import carried_values


def array_of(values: Any, type_: pa.DataType) -> pa.Array:
    return pa.array(values, type_)


def test_a_value_that_a_type_forbids_is_told_and_the_others_are_given() -> None:
    values = [1, "x", 3, 2**70]
    found, faults = carried_values(values, pa.int64(), array_of)
    assert found == [1, None, 3, None]
    assert {i: why.split(":")[0] for i, why in faults.items()} == {
        1: "Could not convert 'x' with type str",
        3: "Python int too large to convert to C long",
    }


def test_a_value_beyond_the_bound_is_told() -> None:
    """(4b)"""
    found, faults = carried_values(["a", "x" * (CELL_BYTES + 1), "x" * CELL_BYTES], pa.string(), array_of)
    assert found == ["a", None, "x" * CELL_BYTES]
    assert faults == {1: "a value of 1,048,577 bytes; at most 1,048,576 are carried"}
