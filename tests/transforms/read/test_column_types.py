"""The type of a column is the narrowest that holds all values; text where there is none."""

import itertools
from typing import Any

import pyarrow as pa
import pytest

from transforms.read.bounds import MAX_DEPTH
from transforms.read.column_types import carried_type, common_type, depth, holds_long, is_text, widened

LIST = pa.list_(pa.int64())


def nested(levels: int) -> pa.DataType:
    type_ = pa.int64()
    for _ in range(levels):
        type_ = pa.list_(type_)
    return type_


@pytest.mark.parametrize(
    ("type_", "carried"),
    [
        (pa.int8(), pa.int8()),
        (pa.timestamp("ns", "Mars/Phobos"), pa.timestamp("ns", "Mars/Phobos")),
        (pa.null(), pa.string()),
        (pa.list_(pa.null()), pa.list_(pa.string())),
        (pa.list_(pa.int64(), 2), LIST),
        (pa.list_view(pa.list_(pa.int64(), 2)), pa.list_(LIST)),
        (pa.dictionary(pa.int8(), pa.string()), pa.string()),
        (pa.run_end_encoded(pa.int32(), pa.int64()), pa.int64()),
        (pa.string_view(), pa.string()),
        (pa.binary_view(), pa.binary()),
        (pa.uuid(), pa.binary(16)),
        (pa.struct([pa.field("a", pa.null(), nullable=True)]), pa.struct([("a", pa.string())])),
        (pa.struct([pa.field("a", pa.int8(), nullable=False)]), pa.struct([("a", pa.int8())])),
        (pa.map_(pa.string(), pa.null()), pa.map_(pa.string(), pa.string())),
        (pa.list_(pa.struct([])), pa.string()),
        (nested(MAX_DEPTH), nested(MAX_DEPTH)),
        (nested(MAX_DEPTH + 1), pa.string()),
        (nested(900), pa.string()),
    ],
    ids=lambda type_: str(type_)[:40],
)
def test_a_type_becomes_one_that_parquet_reads_back(type_: pa.DataType, carried: pa.DataType) -> None:
    assert carried_type(type_) == carried


def test_depth_counts_the_longest_way_down() -> None:
    assert depth(pa.int64()) == 0
    assert depth(pa.struct([("a", pa.int64()), ("b", LIST)])) == 2
    assert depth(nested(900)) == 900


NUMBERS = [
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64()),
]
BITS = {pa.float16(): 11, pa.float32(): 24, pa.float64(): 53}


def extremes(type_: pa.DataType) -> tuple[int, int]:
    """Return the whole numbers within which a type of numbers has all."""
    if type_ in BITS:
        return -(2 ** BITS[type_]), 2 ** BITS[type_]
    signed = pa.types.is_signed_integer(type_)
    return -(2 ** (type_.bit_width - 1)) * signed, 2 ** (type_.bit_width - signed) - 1


@pytest.mark.parametrize(("a", "b"), itertools.product(NUMBERS, NUMBERS), ids=str)
def test_numbers_widen_to_a_type_that_holds_all_of_both(a: pa.DataType, b: pa.DataType) -> None:
    """(2c) Identifiers of 64 bits beside fractions became other identifiers."""
    found = common_type(a, b, holds_long=True)
    assert found == common_type(b, a, holds_long=True)
    if found != pa.string():
        low, high = extremes(found)
        assert all(low <= end <= high for type_ in (a, b) for end in extremes(type_))
        assert not BITS.keys() & {a, b} or found in BITS
    elif pa.int64() not in (a, b) and pa.uint64() not in (a, b):
        raise AssertionError(f"{a} and {b} have a common type")
    if BITS.keys() & {a, b} and found == pa.string():
        assert common_type(a, b, holds_long=False) == pa.float64()


@pytest.mark.parametrize(
    ("a", "b", "common"),
    [
        (pa.null(), LIST, LIST),
        (pa.bool_(), pa.int8(), pa.string()),
        (pa.string(), pa.large_string(), pa.large_string()),
        (pa.string(), pa.binary(), pa.binary()),
        (pa.binary(3), pa.binary(4), pa.binary()),
        (pa.string(), pa.int64(), pa.string()),
        (pa.decimal128(5, 2), pa.decimal128(6, 4), pa.decimal128(7, 4)),
        (pa.decimal128(38, 0), pa.decimal128(38, 38), pa.decimal256(76, 38)),
        (pa.decimal256(76, 0), pa.decimal128(38, 38), pa.string()),
        (pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("ns")),
        (pa.timestamp("s", "UTC"), pa.timestamp("s"), pa.string()),
        (pa.duration("ms"), pa.duration("us"), pa.duration("us")),
        (pa.time32("s"), pa.time64("us"), pa.time64("us")),
        (pa.date32(), pa.timestamp("s"), pa.string()),
        (LIST, pa.list_(pa.int8()), LIST),
        (LIST, pa.large_list(pa.int8()), pa.large_list(pa.int64())),
        (LIST, pa.list_(pa.string()), pa.string()),
        (LIST, pa.int64(), pa.string()),
        (pa.struct([("a", pa.int8())]), pa.struct([("b", LIST)]), pa.struct([("a", pa.int8()), ("b", LIST)])),
        (pa.struct([("a", pa.int8())]), pa.struct([("a", LIST)]), pa.string()),
        (pa.map_(pa.string(), pa.int8()), pa.map_(pa.string(), pa.int16()), pa.map_(pa.string(), pa.int16())),
    ],
    ids=str,
)
def test_other_types_meet_only_where_no_value_is_lost(a: pa.DataType, b: pa.DataType, common: pa.DataType) -> None:
    assert common_type(a, b, holds_long=True) == common
    if not pa.types.is_struct(a):
        assert common_type(b, a, holds_long=True) == common


@pytest.mark.parametrize(
    ("values", "type_", "long"),
    [
        ([2**53, -(2**53), None], pa.int64(), False),
        ([2**53 + 1], pa.int64(), True),
        ([-(2**53) - 1], pa.int64(), True),
        ([2**63], pa.uint64(), True),
        ([[1], [2**60]], LIST, True),
        ([{"a": 2**60}], pa.struct([("a", pa.int64())]), True),
        ([[("a", 2**60)]], pa.map_(pa.string(), pa.int64()), True),
        ([2.0**60], pa.float64(), False),
        ([None], pa.int64(), False),
        ([], LIST, False),
    ],
)
def test_a_long_integer_is_found_wherever_it_is(values: list[Any], type_: pa.DataType, long: bool) -> None:
    assert holds_long(pa.array(values, type_)) == long


def test_text_is_text() -> None:
    assert is_text(pa.string())
    assert not is_text(pa.binary())


def test_columns_of_several_schemas_are_widened_in_the_order_in_which_they_come() -> None:
    old = pa.schema([("label", pa.int8()), ("gone", pa.bool_()), ("mixed", pa.int64()), ("long", pa.int64())])
    now = pa.schema([("new", pa.date32()), ("mixed", pa.string()), ("label", pa.int16()), ("long", pa.float64())])
    assert widened([old, now]) == pa.schema(
        [
            ("label", pa.int16()),
            ("gone", pa.bool_()),
            ("mixed", pa.string()),
            # Rows may hold integers for which a float has no place.
            ("long", pa.string()),
            ("new", pa.date32()),
        ]
    )


def test_nothing_is_widened_where_all_schemas_are_the_same() -> None:
    schema = pa.schema([("label", pa.int8()), ("box", pa.struct([("x", pa.float64())]))])
    assert widened([schema, schema]) == widened([pa.schema([]), schema]) == schema
    assert widened([]) == pa.schema([])
