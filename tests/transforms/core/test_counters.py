"""Counters are Beam's, and a tally of this process."""

import threading
import time
from collections.abc import Iterator

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms.core.counters import (
    NAMESPACE,
    count,
    counted,
    hand_over,
    held_back,
    reset_tally,
    tally,
    timed,
    when_counted,
)


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


def test_what_several_steps_count_by_one_name_is_summed() -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    numbers = pipeline | beam.Create(range(5))
    _ = numbers | "One" >> beam.Map(lambda n: count("images-fetched", n))
    _ = numbers | "Other" >> beam.Map(lambda n: [count("images-fetched"), count("images-failed")])
    result = pipeline.run()
    result.wait_until_finish()
    assert counted(result) == {"images-fetched": 15, "images-failed": 5}


def test_what_other_steps_count_for_themselves_is_none_of_ours() -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | beam.Create(range(5)) | beam.Map(lambda n: beam.metrics.Metrics.counter("theirs", "n").inc())
    result = pipeline.run()
    result.wait_until_finish()
    assert counted(result) == {}


def count_in_a_thread(n: int) -> list[tuple[str, int]]:
    """Count in a thread that Beam knows nothing of, as ThreadMap does."""
    found: list[tuple[str, int]] = []

    def work() -> None:
        with held_back() as held:
            count("images-fetched", n)
        found.extend(held)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found


def test_what_is_held_back_in_a_thread_reaches_beam_once_it_is_handed_over() -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | beam.Create(range(5)) | beam.Map(count_in_a_thread) | beam.Map(hand_over)
    result = pipeline.run()
    result.wait_until_finish()
    assert counted(result) == {"images-fetched": 10}
    assert tally() == {"images-fetched": 10}


def test_a_block_that_raises_holds_nothing_back_any_more() -> None:
    def count_and_fail() -> None:
        count("a")
        raise KeyError

    with pytest.raises(KeyError), held_back() as held:
        count_and_fail()
    count("b")
    assert held == [("a", 1)]
    assert tally() == {"a": 1, "b": 1}


def test_a_block_is_timed_in_microseconds_also_when_it_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([1_000, 6_000, 10_000, 10_999, 20_000, 27_000])
    monkeypatch.setattr("time.perf_counter_ns", lambda: next(clock))
    with timed("decode-busy-us"):
        pass
    assert tally() == {"decode-busy-us": 5}
    with timed("decode-busy-us"):
        pass
    with pytest.raises(KeyError), timed("decode-busy-us"):
        raise KeyError
    assert tally() == {"decode-busy-us": 12}


def test_it_is_known_when_something_was_first_and_last_counted() -> None:
    assert when_counted("n") is None
    before = time.monotonic()
    count("n")
    between = time.monotonic()
    count("n")
    count("other")
    first, last = when_counted("n") or (0.0, 0.0)
    assert before <= first <= between <= last <= time.monotonic()
    reset_tally()
    assert when_counted("n") is None
