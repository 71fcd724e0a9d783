"""Values leave Arrow as Python values that it turns back into the same, or with the reason why they cannot."""

import datetime
import decimal
import pathlib
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest

from transforms.collection.values import as_text, to_python
from transforms.read.bounds import CELL_BYTES
from transforms.read.values import carried_values

NOON = datetime.datetime(2024, 2, 29, 12)


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
        (NOON.replace(microsecond=5, tzinfo=datetime.UTC), "2024-02-29T12:00:00.000005+00:00"),
        *((NOON.date(), "2024-02-29"), (NOON.time(), "12:00:00")),
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
