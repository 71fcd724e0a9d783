"""Carried values: each is checked by Arrow here, and leaves as the Python value that Arrow turns back into it."""

import datetime
import json
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from transforms.core.errors import one_line
from transforms.read.bounds import cell_bytes, too_large
from transforms.read.column_types import mapped

UNUSABLE = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError, ImportError, pa.ArrowException)
"""What Arrow and Python raise for values that the one has and the other has not."""

ToArrow = Callable[[Any, pa.DataType], pa.Array]
"""How a format's values become an array of a type; raises one of UNUSABLE."""


Values = tuple[list[Any], dict[int, str]]
"""A column's values in Python, and by position why those that are None there cannot be carried."""


def carried_values(values: Sequence[Any] | pa.Array, type_: pa.DataType, to_arrow: ToArrow) -> Values:
    """Return the values of a column's chunk in Python, without those that the type or a bound forbids."""
    try:
        array = to_arrow(values, type_)
        if why := too_large(int(cell_bytes(array).max(initial=0))):
            raise ValueError(why)
        return to_python(array), {}
    except UNUSABLE as e:
        if len(values) == 1:
            return [None], {0: "not UTF-8; save the list as UTF-8" if isinstance(e, UnicodeError) else one_line(e)}
    one_by_one = [carried_values(values[i : i + 1], type_, to_arrow) for i in range(len(values))]
    return [found[0] for found, _ in one_by_one], {i: why[0] for i, (_, why) in enumerate(one_by_one) if why}


def to_python(array: pa.Array, *, integers: bool = True) -> list[Any]:
    """Return an array's values in Python, the same with pandas installed and without.

    Args:
      array: of a carried type.
      integers: whether times that Python's types cannot hold (nanoseconds, years past 9999, unknown time zones) become
        the integers that Arrow stores; otherwise they raise one of UNUSABLE.
    """
    try:
        values: list[Any] = array.cast(mapped(array.type, _microseconds)).to_pylist()
    except UNUSABLE:
        if not integers:
            raise
        values = array.cast(mapped(array.type, _integer)).to_pylist()
    return values


def _microseconds(type_: pa.DataType) -> pa.DataType:
    """Return the type of microseconds for one of nanoseconds, which only pandas has in Python."""
    if pa.types.is_timestamp(type_) and type_.unit == "ns":
        return pa.timestamp("us", type_.tz)
    if pa.types.is_duration(type_) and type_.unit == "ns":
        return pa.duration("us")
    return pa.time64("us") if type_ == pa.time64("ns") else type_


def _integer(type_: pa.DataType) -> pa.DataType:
    if not (pa.types.is_temporal(type_) or pa.types.is_duration(type_)):
        return type_
    return pa.int64() if type_.bit_width == 64 else pa.int32()


def as_text(value: Any) -> str | None:
    """Return a value of a column of mixed types as text, JSON where it has a type for it; raise one of UNUSABLE."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, bool | int | float | list | dict):
        return json.dumps(value, default=as_text)
    return value.isoformat() if isinstance(value, datetime.datetime) else str(value)
