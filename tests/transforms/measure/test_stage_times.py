"""Where the time of a run goes: the last that each process has told, summed."""

from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that

from transforms.core.counters import count, reset_tally
from transforms.measure import stage_times
from transforms.measure.stage_times import STAGES, MeasureStages


def work(element: int) -> int:
    count("decode-busy-us", 1_500_000)
    count("forward-busy-us", 300_000)
    return element


def test_the_busy_seconds_of_this_process_are_those_that_it_has_counted() -> None:
    reset_tally()

    def check(found: list[Any]) -> None:
        assert found == [{"fetch": 0.0, "decode": 6.0, "forward": 1.2, "write": 0.0, "wait": 0.0}]

    with beam.Pipeline(FnApiRunner()) as root:
        found = root | beam.Create(range(4), reshuffle=False) | beam.Map(work) | MeasureStages()
        assert_that(found, check)


def test_without_elements_nothing_has_taken_time() -> None:
    reset_tally()

    def check(found: list[Any]) -> None:
        assert found == [dict.fromkeys(STAGES, 0.0)]

    with beam.Pipeline(FnApiRunner()) as root:
        assert_that(root | beam.Create([]) | MeasureStages(), check)


def test_of_what_a_process_tells_the_last_counts_in_any_order() -> None:
    sums = stage_times._Sum()
    told = [{"a": {"fetch-busy-us": n * 10**6}} for n in (1, 3, 2)] + [{"b": {"fetch-busy-us": 500_000}}]
    for order in (told, told[::-1]):
        halves = [sums.merge_accumulators(order[:2]), sums.merge_accumulators(order[2:])]
        assert sums.extract_output(sums.merge_accumulators(halves))["fetch"] == 3.5


def test_a_forked_process_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    here = stage_times._this_process()
    assert stage_times._this_process() == here
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert stage_times._this_process() != here
