"""Types of the columns of a list of text, found while its rows are read."""

import collections
import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa

from transforms.read.column_types import carried_type, common_type, holds_long
from transforms.read.formats.text_rows import ListColumns, Row, SizedRow, chunks

ArrayOf = Callable[[Any], pa.Array]
"""Some values of a column -> an array of the narrowest type that holds them; raises ValueError if none does."""

_SCALARS = frozenset({str, float, bool, type(None)})
_EXACT = 2**53
"""Beyond it, another whole number may need another type than those before."""


@dataclasses.dataclass
class FoundColumns:
    """What is known of a list's columns while it is read; the fields are those of `ListColumns`.

    Args:
      array_of: how values become an array.
      is_typed: whether a value states its type, as JSON's do: once a type has been seen in a column, nothing can be
        learnt from more of its values.
    """

    array_of: ArrayOf
    is_typed: bool = False
    types: dict[str, pa.DataType] = dataclasses.field(default_factory=dict)
    long: set[str] = dataclasses.field(default_factory=set)
    num_rows: int = 0
    last_fault: str = ""
    _seen: dict[str, set[type]] = dataclasses.field(default_factory=lambda: collections.defaultdict(set))

    def add_rows(self, rows: Iterable[SizedRow]) -> "FoundColumns":
        """Add rows; return itself."""
        news = self._new_values if self.is_typed else _values
        for chunk in chunks(rows):
            self.add_faults(len(chunk), [why for why, _ in chunk if why])
            for name, values in news(chunk).items():
                old = self.types.setdefault(name, pa.null())
                if old != pa.string():
                    self.types[name] = self._widened(old, name, values)
        return self

    def add_faults(self, num_rows: int, faults: list[str]) -> None:
        """Count rows, and note why some of them cannot be read."""
        self.num_rows += num_rows
        self.last_fault = faults[-1] if faults else self.last_fault

    def add_texts(self, name: str, texts: pa.Array) -> None:
        """Add texts of a column, of which one that is no number makes it text."""
        try:
            self.types[name] = self._joined(self.types.get(name, pa.null()), name, self.array_of(texts))
        except (pa.ArrowException, ValueError):
            self.types[name] = pa.string()

    def columns(self) -> ListColumns:
        """Return the columns with the narrowest types that hold their values."""
        return ListColumns(self.types, self.long.__contains__, self.num_rows, self.last_fault)

    def _new_values(self, chunk: list[Row]) -> dict[str, list[Any]]:
        news: dict[str, list[Any]] = {}
        seen = self._seen
        for _, row in chunk:
            for name, value in row.items():
                kind = type(value)
                if kind in seen[name] and (kind is not int or -_EXACT <= value <= _EXACT):
                    continue
                news.setdefault(name, []).append(value)
                if kind is int or kind in _SCALARS:
                    seen[name].add(kind)
        return news

    def _widened(self, old: pa.DataType, name: str, values: list[Any]) -> pa.DataType:
        try:
            array = self.array_of(values)
            if any(isinstance(value, (bool, list, dict)) for value in values):
                _check_truth(values, array.to_pylist())
        except (pa.ArrowException, ArithmeticError, TypeError, ValueError):
            if len(values) == 1:
                return pa.string()
            for value in values:
                old = self._widened(old, name, [value])
                if old == pa.string():
                    break
            return old
        return self._joined(old, name, array)

    def _joined(self, old: pa.DataType, name: str, array: pa.Array) -> pa.DataType:
        if pa.types.is_null(array.type):
            return old
        type_ = carried_type(array.type)
        if type_ != pa.string() and holds_long(array):
            self.long.add(name)
        return common_type(old, type_, name in self.long)


def _check_truth(value: Any, found: Any) -> None:
    """Raise TypeError if a truth value became a number, as Arrow makes 1.0 of one that comes after a fraction."""
    if isinstance(value, bool) and not isinstance(found, bool):
        raise TypeError(f"{value} is no number")
    if isinstance(value, list):
        for one, its in zip(value, found, strict=True):
            _check_truth(one, its)
    if isinstance(value, dict):
        for name, one in value.items():
            _check_truth(one, found[name])


def _values(chunk: list[Row]) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = collections.defaultdict(list)
    for _, row in chunk:
        for name, value in row.items():
            values[name].append(value)
    return values


def found_columns(rows: Iterable[SizedRow], array_of: ArrayOf, *, is_typed: bool = False) -> ListColumns:
    """Read all rows, and return the columns with the narrowest types that hold their values."""
    return FoundColumns(array_of, is_typed).add_rows(rows).columns()
