"""Devices have as many batches as they have room for, are shared by a process, and their time is counted once."""

import concurrent.futures
import contextlib
import threading

import pytest

from transforms.core.counters import reset_tally, tally
from transforms.embed.device_pool import DevicePool, devices_here


@pytest.mark.parametrize(("devices", "batches_in_flight"), [(1, 1), (3, 1), (1, 2), (2, 3)])
def test_each_device_is_free_for_as_many_batches_as_it_has_room_for(devices: int, batches_in_flight: int) -> None:
    pool = DevicePool(devices, batches_in_flight)
    for _ in range(2):
        with contextlib.ExitStack() as taken:
            indexes = [taken.enter_context(pool.take(idle_since=0)) for _ in range(devices * batches_in_flight)]
            assert sorted(indexes) == sorted([*range(devices)] * batches_in_flight)


def test_all_devices_have_a_batch_before_one_has_a_second() -> None:
    pool = DevicePool(3, 2)
    with contextlib.ExitStack() as taken:
        assert sorted(taken.enter_context(pool.take(idle_since=0)) for _ in range(3)) == [0, 1, 2]


def test_a_batch_waits_until_a_device_is_free() -> None:
    pool, waiting = DevicePool(1, 1), threading.Event()

    def wait() -> str:
        waiting.set()
        with pool.take(idle_since=0):
            return "second"

    order: list[str] = []
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        with pool.take(idle_since=0):
            second = threads.submit(wait)
            assert waiting.wait(10)
            assert not second.done()
            order.append("first")
        order.append(second.result(10))
    assert order == ["first", "second"]


def test_a_batch_that_raises_gives_its_device_back() -> None:
    pool = DevicePool(1, 1)
    for _ in range(2):
        with pytest.raises(KeyError), pool.take(idle_since=0):
            raise KeyError
    with pool.take(idle_since=0) as index:
        assert index == 0


def test_threads_that_ask_first_at_the_same_time_get_the_same_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=10)

    class Awaited(DevicePool):
        def __init__(self, devices: int, batches_in_flight: int):
            both.wait()
            super().__init__(devices, batches_in_flight)

    monkeypatch.setattr("transforms.embed.device_pool.DevicePool", Awaited)
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        one, other = threads.map(lambda _: devices_here(3, 5), range(2))
    assert one is other


def test_pools_are_shared_by_backbones_of_the_same_needs_alone() -> None:
    assert devices_here(5, 7) is devices_here(5, 7)
    assert len({id(devices_here(*needs)) for needs in ((5, 7), (7, 5), (5, 1))}) == 3


def test_what_two_batches_take_together_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    devices, clock = DevicePool(1, 2), iter([3_000, 5_000, 10_000, 18_000, 30_000, 31_000])
    monkeypatch.setattr("time.perf_counter_ns", lambda: next(clock))
    reset_tally()
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        assert first.enter_context(devices.take(idle_since=1_000)) == 0
        assert second.enter_context(devices.take(idle_since=1_000)) == 0
        first.close()
    with devices.take(idle_since=1_000):
        pass
    # From 3 to 18 and from 30 to 31; without a batch from 1, when the backbone was ready, to 3, and from 18 to 30.
    assert tally() == {"forward-busy-us": 16, "forward-waited-us": 14}


def test_each_devices_time_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, clock = DevicePool(2, 1), iter([1_000, 2_000, 5_000, 9_000])
    monkeypatch.setattr("time.perf_counter_ns", lambda: next(clock))
    reset_tally()
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        first.enter_context(pool.take(idle_since=1_000))
        second.enter_context(pool.take(idle_since=1_000))
        first.close()
    # One from 1 to 5, the other from 2 to 9, for which it waited from 1.
    assert tally() == {"forward-busy-us": 4 + 7, "forward-waited-us": 1}
