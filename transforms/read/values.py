"""Carried values: each is checked by Arrow here, and leaves as the Python value that Arrow turns back into it."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from transforms.collection.values import UNUSABLE, to_python
from transforms.core.errors import one_line
from transforms.read.bounds import cell_bytes, too_large

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
