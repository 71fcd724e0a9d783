"""What a process knows of a run that has just ended: its seconds, and what all its workers have counted."""

import time

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipelines.plan.run_stats import RunStats
from transforms.core.counters import count, reset_tally


class Result:
    """A result of a runner whose workers have counted in processes of their own."""

    def __init__(self, **counted: int):
        self._counted = counted

    def metrics(self) -> "Result":
        return self

    def query(self, _: object) -> dict[str, list[object]]:
        return {"counters": [Counter(name.replace("_", "-"), n) for name, n in self._counted.items()]}


class Counter:
    """A counter as Beam's results have it; it is its own key and metric."""

    def __init__(self, name: str, n: int):
        self.name, self.committed, self.attempted = name, None, n
        self.key = self.metric = self


@pytest.fixture(autouse=True)
def _nothing_counted() -> None:
    reset_tally()


def test_what_a_pipeline_here_has_counted_is_there_once() -> None:
    def fetched(element: int) -> int:
        count("images-fetched")
        return element

    pipeline = beam.Pipeline(FnApiRunner())
    _ = pipeline | beam.Create(range(7)) | beam.Map(fetched)
    began = time.monotonic()
    result = pipeline.run()
    result.wait_until_finish()
    stats = RunStats.of(result, began, began)
    assert stats.counters == {"images-fetched": 7}
    assert stats.seconds >= stats.start_seconds >= 0


def test_of_two_reports_of_a_counter_the_larger_one_counts() -> None:
    count("images-fetched", 3)
    count("images-embedded", 9)
    stats = RunStats.of(Result(images_fetched=10, images_embedded=4, files_written=1), 0.0, 0.0)
    assert stats.counters == {"images-fetched": 10, "images-embedded": 9, "files-written": 1}


def test_a_run_starts_until_its_backbones_are_ready_and_an_image_is_fetched() -> None:
    early = time.monotonic() - 50
    count("images-fetched")
    fetched = time.monotonic()
    # The backbones were ready long before the first image, and long after it.
    assert 50 <= RunStats.of(Result(), ready=early + 1, began=early).start_seconds <= fetched - early
    assert RunStats.of(Result(), ready=early + 70, began=early).start_seconds == pytest.approx(70)


def test_where_no_image_was_fetched_here_a_run_starts_until_it_is_ready() -> None:
    assert RunStats.of(Result(images_fetched=10), ready=107.5, began=100.0).start_seconds == 7.5


def test_seconds_are_those_since_the_backbones_were_ready() -> None:
    ready = time.monotonic() - 20
    stats = RunStats.of(Result(), ready, ready - 5)
    assert 20 <= stats.seconds <= time.monotonic() - ready
