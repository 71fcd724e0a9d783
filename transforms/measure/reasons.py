"""Count failures by reason."""

from collections.abc import Iterable

import apache_beam as beam

from transforms.collection.manifest import ReasonEntry
from transforms.core.failures import Failure
from transforms.core.printable import printable

Reasons = dict[str, ReasonEntry]

SHOWN = 1000
"""Maximum characters of an example's uri."""


class CountReasons(beam.CombineFn):
    """Count failures by reason, with one example of each: Failure -> {reason: ReasonEntry}, the most frequent first."""

    def create_accumulator(self) -> Reasons:
        return {}

    def add_input(self, reasons: Reasons, failure: Failure) -> Reasons:
        uri, message = printable(failure.source.uri, SHOWN), printable(failure.message)
        example = ReasonEntry(count=0, kind=failure.kind, example=uri, message=message)
        reasons.setdefault(failure.reason, example)["count"] += 1
        return reasons

    def merge_accumulators(self, accumulators: Iterable[Reasons]) -> Reasons:
        merged: Reasons = {}
        for reasons in accumulators:
            for reason, entry in reasons.items():
                merged.setdefault(reason, {**entry, "count": 0})["count"] += entry["count"]
        return merged

    def extract_output(self, reasons: Reasons) -> Reasons:
        return dict(sorted(reasons.items(), key=lambda item: -item[1]["count"]))
