"""Carried values: between Arrow and Python, and from an older type of their column to the present one."""

import base64
import datetime
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa

UNUSABLE = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError, ImportError, pa.ArrowException)
"""What Arrow and Python raise for values that the one has and the other has not."""


def is_nested(type_: pa.DataType) -> bool:
    """Whether values of a type hold other values."""
    return bool(pa.types.is_nested(type_))


def mapped(type_: pa.DataType, leaf: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """Return a type in which each innermost type is replaced, nothing is required, and each sequence is a list."""
    if pa.types.is_map(type_):
        return pa.map_(mapped(type_.key_type, leaf), mapped(type_.item_type, leaf))
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(field.name, mapped(field.type, leaf)) for field in type_])
    if pa.types.is_large_list(type_):
        return pa.large_list(mapped(type_.value_type, leaf))
    if is_nested(type_) and type_.num_fields == 1:
        return pa.list_(mapped(type_.value_type, leaf))
    return leaf(type_)


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


def fitted(table: pa.Table, field: pa.Field) -> pa.Array:
    """Return a column of a table in a field's type: null where the table has none, text as `as_text` writes it."""
    if field.name not in table.column_names:
        return pa.nulls(len(table), field.type)
    column = table.column(field.name).combine_chunks()
    if column.type == field.type:
        return column
    if pa.types.is_string(field.type):
        texts = [text_of_bytes(v) if isinstance(v, bytes) else as_text(v) for v in to_python(column)]
        return pa.array(texts, field.type)
    return column.cast(field.type)


def text_of_bytes(value: bytes) -> str:
    """Return bytes as the UTF-8 text that they are, or else in base64."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def as_text(value: Any) -> str | None:
    """Return a value of a column of mixed types as text, JSON where it has a type for it; raise one of UNUSABLE."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, bool | int | float | list | dict):
        return json.dumps(value, default=as_text)
    return value.isoformat() if isinstance(value, datetime.datetime) else str(value)
