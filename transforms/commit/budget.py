"""How many inputs of a run may fail: checked once all is committed, so that nothing is lost by it."""

import dataclasses
from typing import Any

import apache_beam as beam
from apache_beam.transforms.combiners import ToListCombineFn

from transforms.collection.manifest import Counts, Manifest
from transforms.core.errors import RunError


def is_over_budget(counts: Counts, max_failure_ratio: float) -> bool:
    """Whether more inputs failed than allowed, or all did."""
    images = counts["inputs"] - counts["duplicates"]
    return counts["failed"] > max_failure_ratio * images or 0 < images == counts["failed"]


def check_budget(manifests: list[Manifest], max_failure_ratio: float) -> None:
    """Refuse what is over the budget.

    Raises:
      RunError: a run is; the message says that it stands.
    """
    for manifest in manifests:
        counts = manifest["counts"]
        if is_over_budget(counts, max_failure_ratio):
            raise RunError(
                f"{counts['failed']:,} of {counts['inputs']:,} inputs failed, more than --max_failure_ratio "
                f"{max_failure_ratio:g} allows, or all; run {manifest['run_id']} is committed and stands"
            )


@dataclasses.dataclass
class FailOverBudget(beam.PTransform):
    """Fail a pipeline whose runs are over their budget, once all are committed: Manifest -> nothing.

    Combining all manifests makes this a step of its own: a runner that repeats a failed step, as Dataflow does three
    times, repeats no commit.

    Args:
      max_failure_ratio: maximum ratio of failed inputs, 0 to 1.
    """

    max_failure_ratio: float

    def __post_init__(self) -> None:
        super().__init__()

    # Any, since Beam takes another type for a hint of its own, and warns.
    def expand(self, manifests: Any) -> Any:
        return (
            manifests
            | beam.CombineGlobally(ToListCombineFn())
            | "Check" >> beam.Map(check_budget, self.max_failure_ratio)
        )
