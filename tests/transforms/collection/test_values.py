"""Values leave Arrow as Python values that it turns back into the same, and follow the type of their column."""

import datetime
import decimal
import json
import pathlib
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.collection.values import as_text, fitted, is_nested, mapped, to_python
from transforms.read.column_types import widened

NOON = datetime.datetime(2024, 2, 29, 12)


@pytest.mark.parametrize(
    ("value", "type_", "python"),
    [
        (NOON, pa.timestamp("ns"), NOON),
        (1_767_229_261_123_456_789, pa.timestamp("ns"), 1_767_229_261_123_456_789),
        (1, pa.time64("ns"), 1),
        (1000, pa.duration("ns"), datetime.timedelta(microseconds=1)),
        (5, pa.timestamp("s", "Mars/Phobos"), 5),
        (2**40, pa.timestamp("s"), 2**40),
        ([5], pa.list_(pa.timestamp("s", "Mars/Phobos")), [5]),
    ],
)
def test_a_time_is_pythons_or_the_number_that_arrow_stores(value: Any, type_: pa.DataType, python: Any) -> None:
    (found,) = to_python(pa.array([value], type_))
    assert (found, type(found)) == (python, type(python))
    assert pa.array([found], type_) == pa.array([value], type_)


def test_numbers_for_times_can_be_refused() -> None:
    with pytest.raises(LookupError):
        to_python(pa.array([5], pa.timestamp("s", "Mars/Phobos")), integers=False)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((None, None), ("a", "a"), (1, "1"), (0.5, "0.5"), (True, "true"), (b"a", "a"), ([1, "x"], '[1, "x"]')),
        *((NOON, "2024-02-29T12:00:00"), ({"a": NOON}, '{"a": "2024-02-29T12:00:00"}')),
        (decimal.Decimal("1.50"), "1.50"),
    ],
)
def test_values_of_mixed_types_have_a_text(value: Any, text: str | None) -> None:
    assert as_text(value) == text


def test_bytes_that_are_no_text_have_none() -> None:
    with pytest.raises(UnicodeDecodeError):
        as_text([b"\xff"])


def test_no_value_needs_pandas(tmp_path: pathlib.Path) -> None:
    """(2a) `pip install .` does not bring it, and Arrow reaches for it for nanoseconds."""
    (tmp_path / "pandas.py").write_text("raise ModuleNotFoundError('No module named pandas')")
    code = """
import pyarrow as pa
from transforms.collection.values import to_python
for type_ in (pa.timestamp("ns"), pa.timestamp("ns", "UTC"), pa.duration("ns"), pa.time64("ns")):
    array = pa.array([[1_767_229_261_123 % 86_400, None], [5000]], pa.list_(type_))
    assert pa.array(to_python(array), array.type) == array, type_
"""
    path = [str(tmp_path), *filter(None, sys.path)]
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"], capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")


def column(values: list[Any], type_: pa.DataType) -> pa.Table:
    return pa.table({"c": pa.array(values, type_)})


@pytest.mark.parametrize(
    ("values", "old", "now", "expected"),
    [
        ([1, None], pa.int64(), pa.float64(), [1.0, None]),
        ([1, None], pa.int8(), pa.int64(), [1, None]),
        ([1, None, "a"], pa.int64(), pa.string(), None),
        ([0.5], pa.float32(), pa.float64(), [0.5]),
        ([b"a"], pa.binary(), pa.large_binary(), [b"a"]),
        (["a"], pa.string(), pa.large_string(), ["a"]),
        (["a"], pa.large_string(), pa.string(), ["a"]),
        ([[1], None, []], pa.list_(pa.int32()), pa.list_(pa.float64()), [[1.0], None, []]),
        (
            [{"x": 1}],
            pa.struct([("x", pa.int8())]),
            pa.struct([("x", pa.int64()), ("y", pa.string())]),
            [{"x": 1, "y": None}],
        ),
        (
            [[{"x": 1}]],
            pa.list_(pa.struct([("x", pa.int8())])),
            pa.list_(pa.struct([("x", pa.int8()), ("y", pa.bool_())])),
            [[{"x": 1, "y": None}]],
        ),
        ([NOON], pa.timestamp("s"), pa.timestamp("us"), [NOON]),
        ([decimal.Decimal("1.5")], pa.decimal128(3, 1), pa.decimal128(5, 3), [decimal.Decimal("1.500")]),
    ],
    ids=str,
)
def test_a_column_takes_a_wider_type(
    values: list[Any], old: pa.DataType, now: pa.DataType, expected: list[Any] | None
) -> None:
    if expected is None:
        values, expected = values[:2], ["1", None]
    found = fitted(column(values, old), pa.field("c", now))
    assert (found.type, found.to_pylist()) == (now, expected)


@pytest.mark.parametrize(
    ("value", "type_", "text"),
    [
        (7, pa.int64(), "7"),
        (True, pa.bool_(), "true"),
        (0.1, pa.float64(), "0.1"),
        ("a", pa.large_string(), "a"),
        ([1, None], pa.list_(pa.int64()), "[1, null]"),
        ({"x": NOON}, pa.struct([("x", pa.timestamp("us"))]), '{"x": "2024-02-29T12:00:00"}'),
        (NOON, pa.timestamp("us"), "2024-02-29T12:00:00"),
        (None, pa.int64(), None),
    ],
    ids=str,
)
def test_a_column_that_becomes_text_has_json_where_it_has_a_type_for_it(
    value: Any, type_: pa.DataType, text: str | None
) -> None:
    """As a list has it whose column is of mixed types."""
    assert fitted(column([value], type_), pa.field("c", pa.string())).to_pylist() == [text]
    assert as_text(value) == text


def test_a_column_that_a_file_lacks_is_null() -> None:
    found = fitted(column([1, 2], pa.int64()), pa.field("new", pa.list_(pa.string())))
    assert (found.type, found.to_pylist()) == (pa.list_(pa.string()), [None, None])


def test_a_column_of_several_chunks_or_of_none_is_one_array() -> None:
    field = pa.field("c", pa.float64())
    chunks = pa.table({"c": pa.chunked_array([[1], [2, None], []], pa.int64())})
    assert fitted(chunks, field).to_pylist() == [1.0, 2.0, None]
    assert fitted(pa.table({"c": pa.chunked_array([], pa.int64())}), field).to_pylist() == []


LEAVES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int8(), st.integers(-(2**7), 2**7 - 1)),
    (pa.uint8(), st.integers(0, 2**8 - 1)),
    (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float32(), st.floats(width=32, allow_nan=False)),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.bool_(), st.booleans()),
    (pa.string(), st.text(st.characters(codec="utf-8"))),
    (pa.large_string(), st.text(st.characters(codec="utf-8"))),
    (pa.binary(4), st.just(b"abcd")),
    (pa.date32(), st.dates()),
    (pa.timestamp("ms", "UTC"), st.just(datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC))),
    (pa.timestamp("us", "UTC"), st.just(datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC))),
    (pa.decimal128(5, 2), st.decimals(-99, 99, places=2)),
    (pa.decimal128(9, 1), st.decimals(-99, 99, places=1)),
]
Typed = tuple[pa.DataType, st.SearchStrategy[Any]]


def nested(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    lists = inner.map(lambda one: (pa.list_(one[0]), st.lists(st.none() | one[1], max_size=3)))
    structs = st.dictionaries(st.sampled_from("xyz"), inner, min_size=1).map(
        lambda fields: (
            pa.struct([(name, type_) for name, (type_, _) in fields.items()]),
            st.fixed_dictionaries({name: st.none() | values for name, (_, values) in fields.items()}),
        )
    )
    return lists | structs


TYPED = st.recursive(st.sampled_from(LEAVES), nested, max_leaves=4)


def plain(value: Any) -> Any:
    """Return a value as it is compared: without what a wider type adds."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items() if one is not None}
    return [plain(one) for one in value] if isinstance(value, list) else value


@settings(max_examples=200)
@given(st.data())
def test_values_stay_what_they_were_in_the_type_that_holds_those_of_two(data: st.DataObject) -> None:
    (a, values), (b, _) = data.draw(TYPED), data.draw(TYPED)
    schema = widened([pa.schema([("c", b)]), pa.schema([("c", a)])])
    array = pa.array(data.draw(st.lists(st.none() | values, max_size=4)), a)
    found = fitted(pa.table({"c": array}), schema.field("c"))
    assert found.type == schema.field("c").type
    if found.type == pa.string() and a != pa.string():
        assert found.to_pylist() == [as_text(value) for value in to_python(array)]
        return
    for before, after in zip(array.to_pylist(), found.to_pylist(), strict=True):
        assert plain(after) == plain(before)


def test_the_innermost_types_alone_are_replaced() -> None:
    type_ = pa.map_(pa.string(), pa.struct([("x", pa.list_(pa.int8(), 2)), ("y", pa.large_list(pa.int8()))]))
    found = mapped(type_, lambda leaf: pa.int64() if leaf == pa.int8() else leaf)
    inner = pa.struct([("x", pa.list_(pa.int64())), ("y", pa.large_list(pa.int64()))])
    assert found == pa.map_(pa.string(), inner)
    assert [is_nested(one) for one in (type_, inner, pa.int8(), pa.string())] == [True, True, False, False]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_text_of_lists_and_structs_is_json(value: Any) -> None:
    if isinstance(value, list | dict):
        assert json.loads(as_text(value) or "") == value


def test_bytes_that_become_text_are_utf_8_or_else_base64() -> None:
    table = pa.table({"a": pa.array([b"caf\xc3\xa9", b"\xff\x00", None], pa.binary())})
    assert fitted(table, pa.field("a", pa.string())).to_pylist() == ["caf\u00e9", "/wA=", None]
