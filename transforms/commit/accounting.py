"""The check that every input has exactly one outcome."""

from collections.abc import Iterable
from typing import Any

from transforms.collection.layout import format_of
from transforms.collection.manifest import Counts


class AccountingError(RuntimeError):
    """The outcomes do not add up to the inputs: something was lost or doubled."""


def account(found: Iterable[tuple[str, Any]]) -> Counts:
    """Count the outcomes of all inputs from what was actually written.

    Args:
      found: ('inputs' | 'duplicates', n), ('embeddings' | 'failures', WrittenFile); others are ignored.

    Raises:
      AccountingError: `inputs = embedded + failed + skipped + duplicates` does not hold.
    """
    by_format: dict[str, int] = {}
    counts = Counts(inputs=0, embedded=0, failed=0, skipped=0, duplicates=0)
    for kind, value in found:
        if kind == "inputs":
            counts["inputs"] += value
        elif kind == "duplicates":
            counts["duplicates"] += value
        elif kind == "failures":
            counts["failed"] += value.rows
        elif kind == "embeddings":
            format_ = format_of(value.name)
            by_format[format_] = by_format.get(format_, 0) + value.rows
    if len(set(by_format.values())) > 1:
        raise AccountingError(f"the formats hold different numbers of embeddings: {by_format}")
    counts["embedded"] = next(iter(by_format.values()), 0)
    outcomes = counts["embedded"] + counts["failed"] + counts["skipped"] + counts["duplicates"]
    if outcomes != counts["inputs"]:
        raise AccountingError(f"{counts['inputs']} inputs, but {outcomes} outcomes: {counts}")
    return counts
