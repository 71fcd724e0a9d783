"""Types of carried columns: what a list's type becomes in the output, and the type that holds the values of two."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from transforms.collection.values import is_nested, mapped
from transforms.read.bounds import MAX_DEPTH

EXACT_BITS = {pa.float16(): 11, pa.float32(): 24, pa.float64(): 53}
"""Bits of the whole numbers that a float type holds without a gap: IEEE 754's significand, narrowest type first."""

_TEXT = (pa.string(), pa.large_string())
_BYTES = (pa.binary(), pa.large_binary())


def is_text(type_: pa.DataType) -> bool:
    """Whether values of a type are text."""
    return type_ in _TEXT


def is_bytes(type_: pa.DataType) -> bool:
    """Whether values of a type are bytes."""
    return type_ in _BYTES or bool(pa.types.is_fixed_size_binary(type_))


def carried_type(type_: pa.DataType) -> pa.DataType:
    """Return the type that a column of a list has in the output.

    The same values, in a type that Parquet reads back: dictionaries are unpacked, lists of a fixed size are lists,
    a column of nulls is text. So is what is nested over MAX_DEPTH levels, and a struct without fields.
    """
    return pa.string() if depth(type_) > MAX_DEPTH or "struct<>" in str(type_) else plain_type(type_)


def plain_type(type_: pa.DataType) -> pa.DataType:
    """Return the type without dictionaries, views, extensions and lists of a fixed size; nulls are text."""
    return mapped(type_, _plain_leaf)


def _plain_leaf(type_: pa.DataType) -> pa.DataType:
    if isinstance(type_, pa.BaseExtensionType):
        return plain_type(type_.storage_type)
    if pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_):
        return plain_type(type_.value_type)
    if pa.types.is_string_view(type_) or pa.types.is_null(type_):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(type_) else type_


def depth(type_: pa.DataType) -> int:
    """Return how many levels of lists, structs and maps a type has; counted without recursion."""
    level, inner = 0, [type_]
    while inner := [t.field(i).type for t in inner if is_nested(t) for i in range(t.num_fields)]:
        level += 1
    return level


def common_type(a: pa.DataType, b: pa.DataType, holds_long: bool) -> pa.DataType:
    """Return the narrowest type that holds every value of two carried types, text if none does.

    Args:
      a: carried type of one column.
      b: carried type of another one.
      holds_long: whether a 64-bit integer of either is beyond 2**53, where float64 has gaps.
    """
    return _common(a, b, holds_long) or pa.string()


def widened(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """Return all columns of several schemas, each in the narrowest type that holds the values of all."""
    types: dict[str, pa.DataType] = {}
    for schema in schemas:
        for field in schema:
            old = types.setdefault(field.name, field.type)
            types[field.name] = old if old == field.type else common_type(old, field.type, holds_long=True)
    return pa.schema(list(types.items()))


def _common(a: pa.DataType, b: pa.DataType, holds_long: bool) -> pa.DataType | None:
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    for family in (_numbers, _text_or_bytes, _decimals, _times, _nested):
        if found := family(a, b, holds_long):
            return found
    return None


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or type_ in EXACT_BITS)


def _numbers(a: pa.DataType, b: pa.DataType, holds_long: bool) -> pa.DataType | None:
    if not (_is_number(a) and _is_number(b)):
        return None
    whole = [t for t in (a, b) if pa.types.is_integer(t)]
    signed = any(map(pa.types.is_signed_integer, whole))
    bits = max((t.bit_width - pa.types.is_signed_integer(t) for t in whole), default=0)
    if len(whole) == 2:
        names = [pa.int8(), pa.int16(), pa.int32(), pa.int64()] if signed else [a, b]
        return min((t for t in names if t.bit_width - signed >= bits), key=lambda t: t.bit_width, default=None)
    widest = max((t for t in (a, b) if t in EXACT_BITS), key=lambda t: t.bit_width)
    needed = max(EXACT_BITS[widest], bits if bits < 63 or holds_long else 53)
    return next((t for t, exact in EXACT_BITS.items() if exact >= needed), None)


def _text_or_bytes(a: pa.DataType, b: pa.DataType, _: bool) -> pa.DataType | None:
    if not all(t in _TEXT + _BYTES or pa.types.is_fixed_size_binary(t) for t in (a, b)):
        return None
    large = any(t in (pa.large_string(), pa.large_binary()) for t in (a, b))
    return (_TEXT if a in _TEXT and b in _TEXT else _BYTES)[large]


def _decimals(a: pa.DataType, b: pa.DataType, _: bool) -> pa.DataType | None:
    if not (pa.types.is_decimal(a) and pa.types.is_decimal(b)):
        return None
    scale = max(a.scale, b.scale)
    precision = max(a.precision - a.scale, b.precision - b.scale) + scale
    if precision > 76:
        return None
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def _times(a: pa.DataType, b: pa.DataType, _: bool) -> pa.DataType | None:
    """Return the type of the finer unit; a time that it cannot hold cannot be carried."""
    units = ["s", "ms", "us", "ns"]
    if pa.types.is_timestamp(a) and pa.types.is_timestamp(b) and a.tz == b.tz:
        return pa.timestamp(max(a.unit, b.unit, key=units.index), a.tz)
    for kind in (pa.types.is_duration, pa.types.is_time):
        if kind(a) and kind(b):
            return max(a, b, key=lambda t: units.index(t.unit))
    return None


def _nested(a: pa.DataType, b: pa.DataType, holds_long: bool) -> pa.DataType | None:
    if pa.types.is_map(a) and pa.types.is_map(b):
        key, item = _common(a.key_type, b.key_type, holds_long), _common(a.item_type, b.item_type, holds_long)
        return pa.map_(key, item) if key and item else None
    if pa.types.is_struct(a) and pa.types.is_struct(b):
        types = {field.name: field.type for field in a}
        for field in b:
            types[field.name] = _common(types.get(field.name, pa.null()), field.type, holds_long)
        return pa.struct(list(types.items())) if all(types.values()) else None
    lists = [t for t in (a, b) if pa.types.is_list(t) or pa.types.is_large_list(t)]
    if len(lists) < 2:
        return None
    inner = _common(a.value_type, b.value_type, holds_long)
    large = any(map(pa.types.is_large_list, lists))
    return (pa.large_list(inner) if large else pa.list_(inner)) if inner else None


def holds_long(array: pa.Array) -> bool:
    """Whether an integer anywhere in an array is beyond 2**53, where float64 has gaps."""
    return any(_is_long(leaf) for leaf in _leaves(array) if leaf.type in (pa.int64(), pa.uint64()))


def _is_long(array: pa.Array) -> bool:
    bounds = pc.min_max(array).as_py()
    return any(bound is not None and abs(bound) > 2**53 for bound in bounds.values())


def _leaves(array: pa.Array) -> Iterator[pa.Array]:
    if pa.types.is_map(array.type):
        inner = [array.keys, array.items]
    elif is_nested(array.type):
        flat = array.flatten()
        inner = flat if isinstance(flat, list) else [flat]
    else:
        yield array
        return
    for child in inner:
        yield from _leaves(child)
