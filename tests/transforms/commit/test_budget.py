"""The budget of failures: what is over it, and that it is looked at once all is committed."""

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms.collection.manifest import Counts, Manifest
from transforms.commit.budget import FailOverBudget, check_budget, is_over_budget
from transforms.core.errors import RunError


def counts_of(embedded: int, failed: int, duplicates: int = 0) -> Counts:
    inputs = embedded + failed + duplicates
    return Counts(inputs=inputs, embedded=embedded, failed=failed, skipped=0, duplicates=duplicates)


def manifest_of(run_id: str, counts: Counts) -> Manifest:
    return {"run_id": run_id, "counts": counts}  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("counts", "ratio", "over"),
    [
        (counts_of(9, 1), 0.1, False),
        (counts_of(9, 1), 0.09, True),
        (counts_of(1, 1, duplicates=8), 0.4, True),
        (counts_of(0, 1), 1.0, True),
        (counts_of(0, 0), 0.0, False),
    ],
)
def test_over_the_budget_is_more_than_the_ratio_or_all(counts: Counts, ratio: float, over: bool) -> None:
    assert is_over_budget(counts, ratio) is over
    if over:
        with pytest.raises(RunError):
            check_budget([manifest_of("1", counts)], ratio)
    else:
        check_budget([manifest_of("1", counts)], ratio)


def test_what_is_over_is_said_in_one_line_with_the_run_that_stands() -> None:
    manifests = [manifest_of("fine", counts_of(1, 0)), manifest_of("bad", counts_of(1000, 2000))]
    with pytest.raises(RunError) as error:
        check_budget(manifests, 0.5)
    assert str(error.value) == (
        "2,000 of 3,000 inputs failed, more than --max_failure_ratio 0.5 allows, or all; "
        "run bad is committed and stands"
    )


def test_it_is_a_step_of_its_own_so_that_repeating_it_repeats_no_commit() -> None:
    root = beam.Pipeline(FnApiRunner())
    committed = root | beam.Create([1]) | "Commit" >> beam.Map(lambda _: manifest_of("1", counts_of(1, 0)))
    _ = committed | "Budget" >> FailOverBudget(0.5)
    _, stages = FnApiRunner().create_stages(root.to_runner_api())
    checking = [[t.unique_name for t in stage.transforms] for stage in stages]
    (names,) = [names for names in checking if any("Budget/Check" in name for name in names)]
    assert not any(name.startswith("Commit") for name in names)
