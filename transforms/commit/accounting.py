"""The check that every input has exactly one outcome.

Numbers alone would not notice one row that is lost beside another that is doubled, so the uris are compared as well.
"""

from collections.abc import Iterable
from typing import Any

from transforms.collection.layout import format_of
from transforms.collection.manifest import Counts
from transforms.core.uri_sum import UriSum


class AccountingError(RuntimeError):
    """The outcomes do not add up to the inputs: something was lost or doubled."""


def account(found: Iterable[tuple[str, Any]]) -> Counts:
    """Count the outcomes of all inputs from what was actually written.

    Args:
      found: ('inputs' | 'duplicates', UriSum), ('embeddings' | 'failures', WrittenFile); others are ignored.

    Raises:
      AccountingError: `inputs = embedded + failed + skipped + duplicates` does not hold, for the numbers or the uris.
    """
    inputs = failed = duplicates = UriSum()
    by_format: dict[str, UriSum] = {}
    for kind, value in found:
        if kind == "inputs":
            inputs += value
        elif kind == "duplicates":
            duplicates += value
        elif kind == "failures":
            failed += value.uris
        elif kind == "embeddings":
            format_ = format_of(value.name)
            by_format[format_] = by_format.get(format_, UriSum()) + value.uris
    if len(set(by_format.values())) > 1:
        rows = {format_: uris.count for format_, uris in by_format.items()}
        raise AccountingError(f"the formats hold different embeddings; rows: {rows}")
    embedded = next(iter(by_format.values()), UriSum())
    counts = Counts(
        inputs=inputs.count, embedded=embedded.count, failed=failed.count, skipped=0, duplicates=duplicates.count
    )
    outcomes = embedded + failed + duplicates
    if outcomes.count != inputs.count:
        raise AccountingError(f"{inputs.count} inputs, but {outcomes.count} outcomes: {counts}")
    if outcomes != inputs:
        raise AccountingError(f"{inputs.count} inputs and as many outcomes, but of other uris: {counts}")
    return counts
