"""The devices of a process, which all its backbones share."""

import contextlib
import queue
import threading
import time
from collections.abc import Iterator

from transforms.core.counters import count


class DevicePool:
    """Devices that are reserved for one batch at a time, or for a few.

    Args:
      devices: number of devices.
      batches_in_flight: batches that each device takes at the same time; it starts them in the order of arrival.
    """

    def __init__(self, devices: int, batches_in_flight: int):
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in [*range(devices)] * batches_in_flight:
            self._free.put(index)
        self._batches, self._ended = [0] * devices, [0] * devices
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def take(self, idle_since: int) -> Iterator[int]:
        """Reserve a device for one batch and yield its index.

        Records how long the device was idle before the batch and busy during it.

        Args:
          idle_since: when the backbone was ready, in ns of time.perf_counter_ns(); idle time before does not count.
        """
        index = self._free.get()
        with self._lock:
            began = time.perf_counter_ns()
            if not self._batches[index]:
                count("forward-waited-us", (began - max(self._ended[index], idle_since)) // 1000)
            self._batches[index] += 1
        try:
            yield index
        finally:
            with self._lock:
                # If two batches overlap, the second one's time counts from the end of the first.
                began, self._ended[index] = max(began, self._ended[index]), time.perf_counter_ns()
                count("forward-busy-us", (self._ended[index] - began) // 1000)
                self._batches[index] -= 1
            self._free.put(index)


_pools: dict[tuple[int, int], DevicePool] = {}


def devices_here(devices: int, batches_in_flight: int) -> DevicePool:
    """Return this process's pool for a number of devices and of batches in flight."""
    # If several threads ask at once, all get the pool of the first.
    return _pools.setdefault((devices, batches_in_flight), DevicePool(devices, batches_in_flight))
