"""The check that every input has exactly one outcome, and every row of the collection exactly one reason.

Numbers alone would not notice one row that is lost beside another that is doubled, so the uris are compared as well.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

from transforms.collection.layout import format_of
from transforms.collection.manifest import Changes, Counts
from transforms.core.uri_sum import UriSum
from transforms.write.shard_plan import StandingFile, WrittenFile


class AccountingError(RuntimeError):
    """The outcomes do not add up to the inputs, or the rows to those before: something was lost or doubled."""


SUMS = ("inputs", "duplicates", "skipped", "known_failures", "revised", "taken_over", "dropped", "gone", "removed")
"""Kinds of what is found as a `UriSum`: of inputs, but for the last three, which are of rows that stood before."""


@dataclasses.dataclass(frozen=True)
class Account:
    """What became of the inputs and of the rows: counts of both."""

    counts: Counts
    changes: Changes
    rows: int


def account(found: Iterable[tuple[str, Any]]) -> Account:
    """Count the outcomes of all inputs from what was actually written.

    Args:
      found: (one of SUMS, UriSum), ('embeddings' | 'failures', WrittenFile), ('standing', StandingFile); others are
        ignored.

    Raises:
      AccountingError: `inputs = embedded + failed + skipped + duplicates` does not hold, or
        `rows = rows before - changed - removed + embedded`, for the numbers or the uris.
    """
    sums = dict.fromkeys(SUMS, UriSum())
    after: dict[str, UriSum] = {}
    kept: dict[str, UriSum] = {}
    dropped: dict[str, UriSum] = {}
    for kind, value in found:
        if kind in sums:
            sums[kind] += value
        elif isinstance(value, WrittenFile):
            _add(after, value.name, value.uris)
        elif isinstance(value, StandingFile):
            _add(kept, value.name, value.uris - value.dropped_uris)
            _add(dropped, value.name, value.dropped_uris)
    failed = after.pop("", UriSum()) - kept.pop("", UriSum()) + sums["known_failures"]
    dropped.pop("", None)
    rows = _same("embeddings", after)
    stood = _same("rows of earlier runs", kept)
    if (found_dropped := _same("rows to be dropped", dropped)) != sums["dropped"]:
        raise AccountingError(f"{found_dropped.count} rows are dropped, where {sums['dropped'].count} should be")
    embedded = rows - stood - sums["revised"]
    counts = Counts(
        inputs=sums["inputs"].count,
        embedded=embedded.count,
        failed=failed.count,
        skipped=sums["skipped"].count,
        duplicates=sums["duplicates"].count,
    )
    outcomes = embedded + failed + sums["skipped"] + sums["duplicates"]
    if outcomes.count != sums["inputs"].count:
        raise AccountingError(f"{counts['inputs']} inputs, but {outcomes.count} outcomes: {counts}")
    if outcomes != sums["inputs"]:
        raise AccountingError(f"{counts['inputs']} inputs and as many outcomes, but of other uris: {counts}")
    changed = sums["dropped"].count - sums["removed"].count - sums["revised"].count
    changes = Changes(
        rows_before=stood.count + sums["dropped"].count,
        new=embedded.count - changed,
        changed=changed,
        taken_over=sums["taken_over"].count,
        revised=sums["revised"].count,
        known_failures=sums["known_failures"].count,
        gone=sums["gone"].count,
        removed=sums["removed"].count,
    )
    return Account(counts, changes, rows.count)


def _add(sums: dict[str, UriSum], name: str, uris: UriSum) -> None:
    format_ = format_of(name)
    sums[format_] = sums.get(format_, UriSum()) + uris


def _same(what: str, by_format: dict[str, UriSum]) -> UriSum:
    """Return what all formats hold."""
    if len(set(by_format.values())) > 1:
        rows = {format_: uris.count for format_, uris in by_format.items()}
        raise AccountingError(f"the formats hold different {what}; rows: {rows}")
    return next(iter(by_format.values()), UriSum())
