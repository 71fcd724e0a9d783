"""Counters, named noun-verb: `images-fetched`, `images-failed`; times end in their unit: `decode-busy-us`.

Each is a Beam counter, and also a tally of this process, which the progress display of a local run reads.
"""

import collections
import contextlib
import functools
import threading
import time
from collections.abc import Iterator
from typing import Any

from apache_beam.metrics import Metrics, MetricsFilter

NAMESPACE = "embed-images"

# Without the cache, Beam would make a new counter for each image.
_beam_counter = functools.cache(functools.partial(Metrics.counter, NAMESPACE))
_tally: collections.Counter[str] = collections.Counter()
_when: dict[str, tuple[float, float]] = {}
_lock = threading.Lock()
_thread = threading.local()


def count(name: str, n: int = 1) -> None:
    """Add `n` to the counter `name`."""
    held: list[tuple[str, int]] | None = getattr(_thread, "held", None)
    if held is None:
        _beam_counter(name).inc(n)
    else:
        held.append((name, n))
    with _lock:
        _tally[name] += n
        now = time.monotonic()
        _when[name] = (_when[name][0] if name in _when else now, now)


@contextlib.contextmanager
def held_back() -> Iterator[list[tuple[str, int]]]:
    """Hold back the counts of a block until `hand_over`: Beam knows no step for a thread that it did not start."""
    _thread.held = []
    try:
        yield _thread.held
    finally:
        _thread.held = None


def hand_over(held: list[tuple[str, int]]) -> None:
    """Pass held-back counts to Beam; call it in the thread of the step."""
    for name, n in held:
        _beam_counter(name).inc(n)


@contextlib.contextmanager
def timed(name: str) -> Iterator[None]:
    """Add the microseconds that a block takes to the counter `name`, even if the block raises."""
    started = time.perf_counter_ns()
    try:
        yield
    finally:
        count(name, (time.perf_counter_ns() - started) // 1000)


def when_counted(name: str) -> tuple[float, float] | None:
    """Return when this process first and last counted `name` since `reset_tally`, in s of time.monotonic(), or None."""
    with _lock:
        return _when.get(name)


def tally() -> dict[str, int]:
    """Return what this process has counted since `reset_tally`."""
    with _lock:
        return dict(_tally)


def reset_tally() -> None:
    """Set the tally of this process to zero, before a new run."""
    with _lock:
        _tally.clear()
        _when.clear()


def counted(result: Any) -> dict[str, int]:
    """Return what all workers of a run have counted, as the runner reports it: PipelineResult -> counters.

    The report may lag behind. A counter that several steps use is summed.
    """
    found: collections.Counter[str] = collections.Counter()
    for metric in result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]:
        found[metric.key.metric.name] += max(metric.committed or 0, metric.attempted or 0)
    return dict(found)
