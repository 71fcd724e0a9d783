"""The one DoFn that owns a thread pool, for work that waits or releases the interpreter's lock.

Results leave in the order of their elements. Up to `lookahead` elements are in progress while the stages
downstream are busy, so that decoding overlaps inference; one more is held while its result is awaited.
"""

import collections
import concurrent.futures
import dataclasses
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.utils.windowed_value import WindowedValue

from transforms.core.counters import hand_over, held_back


class _Pool:
    """The threads of one ThreadMap in a process, shared by its copies; they end with the last copy."""

    def __init__(self, threads: int):
        self.executor = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="ThreadMap")
        self.users = 0


_pools: dict[str, _Pool] = {}
_lock = threading.Lock()


@dataclasses.dataclass
class ThreadMap(beam.DoFn):
    """Apply `function` to each element in threads: element -> one output, or a TaggedOutput.

    Args:
      function: element -> output; an exception that it raises fails the bundle.
      num_threads: threads in each worker process; None is one per core, 0 switches threads off.
      lookahead: maximum number of elements in progress per bundle, not counting the one whose result is awaited;
        default twice the threads.
      prepare: run by a thread before the first element; an exception that it raises fails the bundle.
    """

    function: Callable[[Any], Any]
    num_threads: int | None = None
    lookahead: int | None = None
    prepare: Callable[[], Any] | None = None

    def __post_init__(self) -> None:
        super().__init__()
        if self.num_threads is not None and self.num_threads < 0:
            raise ValueError(f"num_threads must be at least 0 or None, is {self.num_threads}")
        self._key = uuid.uuid4().hex
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None
        self._prepared: concurrent.futures.Future[Any] | None = None

    def setup(self) -> None:
        if self.num_threads != 0:
            # The cores of the worker, not those of the machine that submits the job.
            self._threads = self.num_threads or os.cpu_count() or 1
            with _lock:
                pool = _pools.setdefault(self._key, _Pool(self._threads))
                pool.users += 1
            self._pool = pool.executor
            if self.prepare:
                self._prepared = self._pool.submit(self.prepare)

    def start_bundle(self) -> None:
        self._pending: collections.deque[tuple[concurrent.futures.Future[Any], Any, Any]] = collections.deque()

    def process(
        self, element: Any, timestamp: Any = beam.DoFn.TimestampParam, window: Any = beam.DoFn.WindowParam
    ) -> Iterator[Any]:
        if self._pool is None:
            yield self.function(element)
            return
        self._pending.append((self._pool.submit(self._work, element), timestamp, window))
        limit = self.lookahead or 2 * self._threads
        while self._pending and (len(self._pending) > limit or self._pending[0][0].done()):
            yield self._next()

    def finish_bundle(self) -> Iterator[Any]:
        while self._pending:
            yield self._next()

    def _work(self, element: Any) -> tuple[Any, list[tuple[str, int]]]:
        if self._prepared:
            self._prepared.result()
        with held_back() as held:
            return self.function(element), held

    def _next(self) -> Any:
        future, timestamp, window = self._pending.popleft()
        result, held = future.result()
        hand_over(held)
        if isinstance(result, TaggedOutput):
            return TaggedOutput(result.tag, WindowedValue(result.value, timestamp, (window,)))
        return WindowedValue(result, timestamp, (window,))

    def teardown(self) -> None:
        if self._pool is None:
            return
        with _lock:
            pool = _pools[self._key]
            pool.users -= 1
            if not pool.users:
                del _pools[self._key]
                pool.executor.shutdown(wait=False, cancel_futures=True)
        self._pool = None
