"""Counters are Beam's, and a tally of this process."""

import threading
from collections.abc import Iterator

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms.core.counters import NAMESPACE, count, reset_tally, tally


@pytest.fixture(autouse=True)
def fresh_tally() -> Iterator[None]:
    reset_tally()
    yield
    reset_tally()


def test_counts_add_up_by_name() -> None:
    count("images-fetched")
    count("images-fetched", 3)
    count("images-failed", 2)
    assert tally() == {"images-fetched": 4, "images-failed": 2}


def test_a_reset_forgets() -> None:
    count("images-fetched")
    reset_tally()
    assert tally() == {}


def test_a_tally_is_a_copy() -> None:
    count("images-fetched")
    tally()["images-fetched"] = 99
    assert tally() == {"images-fetched": 1}


def test_threads_lose_no_counts() -> None:
    threads = [threading.Thread(target=lambda: [count("n") for _ in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally() == {"n": 4000}


def test_a_pipeline_counts_for_beam_too() -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | beam.Create(range(5)) | beam.Map(lambda n: count("images-fetched", n))
    result = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    assert [(c.key.metric.name, c.committed) for c in found] == [("images-fetched", 10)]
    assert tally() == {"images-fetched": 10}
