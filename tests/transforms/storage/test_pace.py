"""The pace of a process: free until a request is refused, then slower for all threads, and free again."""

import concurrent.futures
import itertools
import math
import time

import pytest

from transforms.storage.pace import FIRST_INTERVAL, LONGEST_INTERVAL, Pace


def turn_of(pace: Pace) -> float:
    turn = pace.turn(math.inf)
    assert turn is not None
    return turn


def test_nobody_waits_before_a_refusal() -> None:
    pace, began = Pace(), time.monotonic()
    turns = [turn_of(pace) for _ in range(1000)]
    assert sorted(turns) == turns
    assert began <= turns[0]
    assert len({pace.turn(turn) for turn in turns}) == 1


def test_after_a_refusal_all_threads_take_turns() -> None:
    pace = Pace()
    pace.refused(turn_of(pace), after=0.0)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        turns = sorted(threads.map(lambda _: turn_of(pace), range(16)))
    assert all(later - earlier >= 0.99 * FIRST_INTERVAL for earlier, later in itertools.pairwise(turns))


def test_slowing_down_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "transforms")
    pace = Pace()
    pace.refused(turn_of(pace), 0.0)
    assert caplog.messages == ["requests are refused for being too many; from now on one every 0.01 s"]


def test_requests_that_were_under_way_together_count_as_one_refusal() -> None:
    pace = Pace()
    turns = [turn_of(pace) for _ in range(16)]
    for turn in turns:
        pace.refused(turn, after=0.0)
    first, second = turn_of(pace), turn_of(pace)
    assert FIRST_INTERVAL * 0.99 <= second - first < LONGEST_INTERVAL / 2


def test_a_turn_after_the_deadline_is_none_and_takes_nobodys_place() -> None:
    pace = Pace()
    asked = turn_of(pace)
    pace.refused(asked, after=20.0)
    for _ in range(100):
        assert pace.turn(time.monotonic() + 10.0) is None
    assert pace.turn(asked) is None


def test_the_interval_grows_to_its_longest_and_shrinks_to_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = Pace()
    for _ in range(50):
        pace.refused(math.inf, after=0.0)
    refused = time.monotonic()
    assert pace.turn(refused + 0.5 * LONGEST_INTERVAL) is None
    assert turn_of(pace) <= refused + LONGEST_INTERVAL
    for _ in range(200):
        pace.answered()
    turn_of(pace)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    turn_of(pace)
    assert slept == [0.0]
