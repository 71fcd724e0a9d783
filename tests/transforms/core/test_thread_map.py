"""Threads keep the order, the windows and the exceptions of their elements, and hold few at a time."""

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.pvalue import TaggedOutput
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, GlobalWindow, TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from transforms.core.thread_map import ThreadMap

WINDOW = GlobalWindow()


def bundle(thread_map: ThreadMap, elements: Any) -> Iterator[Any]:
    """Drive a DoFn through one bundle as a worker does, and give its values as they leave."""
    thread_map.setup()
    thread_map.start_bundle()
    try:
        for element in elements:
            yield from thread_map.process(element, Timestamp(0), WINDOW)
        yield from thread_map.finish_bundle()
    finally:
        thread_map.teardown()


def values(outputs: Any) -> list[Any]:
    return [getattr(output, "value", output) for output in outputs]


def thread_name(_: Any) -> str:
    return threading.current_thread().name


def square_or_odd(n: int) -> Any:
    return TaggedOutput("odd", n) if n % 2 else n * n


def not_seven(n: int) -> int:
    if n == 7:
        raise KeyError("seven is not welcome")
    return n


@pytest.mark.parametrize("num_threads", [0, 1, 8, None])
@pytest.mark.parametrize("n", [0, 1, 100])
def test_each_element_has_its_output_in_order(num_threads: int | None, n: int) -> None:
    assert values(bundle(ThreadMap(lambda i: i * i, num_threads), range(n))) == [i * i for i in range(n)]


def test_the_order_is_kept_where_later_elements_finish_first() -> None:
    second_is_done = threading.Event()

    def finish_backwards(n: int) -> int:
        if n == 0:
            assert second_is_done.wait(10)
        if n == 1:
            second_is_done.set()
        return n

    assert values(bundle(ThreadMap(finish_backwards, 2), range(10))) == list(range(10))


def test_as_many_elements_as_threads_are_worked_on_at_a_time() -> None:
    # Each element waits for three others: fewer threads would break the barrier.
    barrier = threading.Barrier(4, timeout=10)
    assert len(values(bundle(ThreadMap(lambda _: barrier.wait(), 4), range(8)))) == 8


@pytest.mark.parametrize(
    ("num_threads", "lookahead", "limit"), [(2, None, 4), (2, 7, 7), (4, 1, 1), (None, None, 2 * (os.cpu_count() or 1))]
)
def test_no_more_than_lookahead_are_held(num_threads: int | None, lookahead: int | None, limit: int) -> None:
    taken: list[int] = []
    elements = (taken.append(i) or i for i in range(100))
    left = bundle(ThreadMap(lambda i: i, num_threads, lookahead), elements)
    held = [len(taken) - given for given, _ in enumerate(left, 1)]
    assert len(taken) == len(held) == 100
    assert max(held) <= limit


def test_elements_wait_inside_until_there_are_too_many() -> None:
    sixth_came = threading.Event()

    def elements() -> Iterator[int]:
        yield from range(5)
        sixth_came.set()
        yield 5

    def wait(n: int) -> int:
        assert sixth_came.wait(10)
        return n

    assert values(bundle(ThreadMap(wait, 2, lookahead=5), elements())) == list(range(6))


@pytest.mark.parametrize("num_threads", [0, 1, 4])
def test_an_exception_comes_out_as_it_was_raised(num_threads: int) -> None:
    outputs, seen = bundle(ThreadMap(not_seven, num_threads), range(20)), list[Any]()
    with pytest.raises(KeyError, match="seven is not welcome"):
        seen.extend(outputs)
    assert values(seen) == list(range(7))


def test_a_bundle_after_a_failed_one_starts_empty() -> None:
    thread_map = ThreadMap(not_seven, 4)
    with pytest.raises(KeyError):
        list(bundle(thread_map, range(8)))
    assert values(bundle(thread_map, range(3))) == [0, 1, 2]


def test_0_switches_threads_off() -> None:
    assert values(bundle(ThreadMap(thread_name, 0), [1])) == [threading.current_thread().name]
    (other,) = values(bundle(ThreadMap(thread_name, 1), [1]))
    assert other.startswith("ThreadMap")


def test_none_is_one_thread_a_core() -> None:
    barrier = threading.Barrier(os.cpu_count() or 1, timeout=10)
    n = 2 * barrier.parties
    assert len(values(bundle(ThreadMap(lambda _: barrier.wait()), range(n)))) == n


def test_a_thread_prepares_before_the_first_element_comes() -> None:
    prepared = threading.Event()

    def elements() -> Iterator[int]:
        assert prepared.wait(10)
        yield 1

    assert values(bundle(ThreadMap(lambda i: i, 1, prepare=prepared.set), elements())) == [1]


def test_what_cannot_be_prepared_fails_the_bundle_and_is_not_tried_again() -> None:
    tried: list[int] = []

    def fail() -> None:
        tried.append(1)
        raise OSError("no model")

    with pytest.raises(OSError, match="no model"):
        list(bundle(ThreadMap(abs, 2, lookahead=5, prepare=fail), [-1, -2]))
    assert tried == [1]


def test_an_element_waits_until_all_is_prepared() -> None:
    order: list[str] = []

    def prepare() -> None:
        time.sleep(0.02)
        order.append("prepared")

    assert values(bundle(ThreadMap(lambda _: order.append("element"), 2, prepare=prepare), [1]))
    assert order == ["prepared", "element"]


def test_fewer_than_no_threads_are_refused() -> None:
    with pytest.raises(ValueError, match="num_threads must be at least 0 or None, is -1"):
        ThreadMap(abs, -1)


@pytest.mark.parametrize("num_threads", [0, 4, None])
def test_a_pipeline_sends_tagged_outputs_by_their_door(num_threads: int | None) -> None:
    with beam.Pipeline(FnApiRunner()) as p:
        out = (
            p
            | beam.Create(range(50))
            | beam.ParDo(ThreadMap(square_or_odd, num_threads)).with_outputs("odd", main="even")
        )
        assert_that(out.even, equal_to([n * n for n in range(0, 50, 2)]), label="even")
        assert_that(out.odd, equal_to(list(range(1, 50, 2))), label="odd")


@pytest.mark.parametrize("num_threads", [0, 3])
def test_outputs_stay_in_the_windows_of_their_elements(num_threads: int) -> None:
    with beam.Pipeline(FnApiRunner()) as p:
        sums = (
            p
            | beam.Create(range(40))
            | beam.Map(lambda n: TimestampedValue(n, n))
            | beam.WindowInto(FixedWindows(10))
            | beam.ParDo(ThreadMap(square_or_odd, num_threads)).with_outputs("odd", main="even")
        )
        by_window = sums.odd | beam.CombineGlobally(sum).without_defaults()
        with_start = by_window | beam.Map(lambda n, w=beam.DoFn.WindowParam: (int(w.start), n))
        assert_that(with_start, equal_to([(t, sum(range(t + 1, t + 10, 2))) for t in range(0, 40, 10)]))


def test_an_exception_fails_the_pipeline() -> None:
    pipeline = beam.Pipeline(FnApiRunner())
    _ = pipeline | beam.Create(range(20)) | beam.ParDo(ThreadMap(not_seven, 2))
    with pytest.raises(Exception, match="seven is not welcome"):
        pipeline.run().wait_until_finish()
