"""What is told of runs: the last beside the one before, and what calls for a look."""

from typing import Any

import pytest

from pipelines.report import history
from transforms.collection.manifest import Changes, Counts, RunEntry

NO_CHANGES = dict.fromkeys(Changes.__annotations__, 0)
HEALTHY = {"vectors": 10, "nan": 0, "zero": 0, "constant_dims": 0}


def entry(day: int, speed: float = 10.0, embedded: int = 0, failed: int = 0, **changes: int) -> RunEntry:
    counts = Counts(inputs=embedded + failed, embedded=embedded, failed=failed, skipped=0, duplicates=0)
    times = dict.fromkeys(("started", "finished"), f"2026-11-{day:02d}T03:04:05+00:00")
    stages = {"fetch": day / 10, "decode": 2.0, "forward": 0.0, "write": 0.0, "wait": 0.0}
    whole: Any = {"run_id": f"R{day}", "times": times, "counts": counts, "changes": {**NO_CHANGES, **changes}}
    return RunEntry(**whole, seconds=5.0, images_per_second=speed, stages=stages, dollars_at_most=None)


def manifest(*runs: RunEntry, health: dict[str, int] | None = None) -> Any:
    last = runs[-1]
    return {
        "collection": {"runs": list(runs)},
        "counts": last["counts"],
        "changes": last["changes"],
        "health": HEALTHY if health is None else health,
    }


def test_the_runs_come_last_first_with_the_rows_that_they_left() -> None:
    two = manifest(entry(1, embedded=20, new=20), entry(2, embedded=7, new=5, changed=2, removed=1, rows_before=20))
    last, first = history.runs_shown(two)
    assert (last.started, last.new, last.before, last.rows) == ("2026-11-02 03:04:05 UTC", 5, 20, 24)
    assert (first.before, first.rows) == (0, 20)


def test_no_more_runs_are_shown_than_a_page_has_room_for() -> None:
    many = manifest(*(entry(1 + i % 28, embedded=i) for i in range(100)))
    assert [run.inputs for run in history.runs_shown(many)] == list(range(99, 99 - history.RUNS_SHOWN, -1))


def test_the_last_run_stands_beside_the_one_before() -> None:
    told = history.compared(manifest(entry(1, embedded=1200, new=1200), entry(2, embedded=3, failed=2, new=3)))
    assert ("embedded", "3", "1,200", "-1,197") in told
    assert ("failed", "2", "0", "+2") in told
    assert "removed" not in [one.name for one in told]
    assert history.compared(manifest(entry(1, embedded=3)))[0] == ("inputs", "3", "", "")


def test_stages_that_took_no_time_are_left_out() -> None:
    told = history.stages(manifest(entry(1), entry(4)))
    assert told[:2] == [("fetch, s", "0.4", "0.1", "+0.3"), ("decode, s", "2.0", "2.0", "same")]
    assert [one.name for one in told[2:]] == ["from start to end, s", "images a second"]


@pytest.mark.parametrize(
    ("runs", "health", "says"),
    [
        ([entry(1, embedded=5)], HEALTHY, ""),
        ([entry(1, embedded=5, failed=2)], HEALTHY, "2 of 7 inputs failed in the last run."),
        ([entry(1, embedded=5, failed=2, known_failures=2)], HEALTHY, ""),
        ([entry(1)], {**HEALTHY, "nan": 3}, "3 of the last run's vectors hold NaN, and resemble nothing."),
        ([entry(1)], {**HEALTHY, "zero": 1}, "1 of the last run's vectors are zero, and resemble nothing."),
        (
            [entry(1)],
            {**HEALTHY, "vectors": 30, "constant_dims": 4},
            "4 dimensions were constant in the last run's vectors.",
        ),
        ([entry(1)], {**HEALTHY, "vectors": 5, "constant_dims": 4}, ""),
        (
            [entry(1, gone=3, removed=1)],
            HEALTHY,
            "2 images are gone from the input, and their rows stay; --remove_missing would drop them.",
        ),
        (
            [entry(1, 100, 500), entry(2, 90, 500), entry(3, 110, 500), entry(4, 40, 500)],
            HEALTHY,
            "The last run embedded 40.0 images a second; 100.0 are usual.",
        ),
        ([entry(1, 100, 500), entry(2, 3, 5)], HEALTHY, ""),
        ([entry(1, 100, 500), entry(2, 60, 500)], HEALTHY, ""),
    ],
)
def test_what_calls_for_a_look_is_said_and_nothing_else(runs: list[RunEntry], health: Any, says: str) -> None:
    assert list(history.notices(manifest(*runs, health=health))) == ([says] if says else [])


def test_a_folder_of_which_no_runs_are_told_has_none() -> None:
    none: Any = {"counts": entry(1)["counts"], "changes": NO_CHANGES, "health": {}}
    assert (history.runs_shown(none), history.compared(none), list(history.notices(none))) == ([], [], [])
