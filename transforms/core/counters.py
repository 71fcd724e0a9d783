"""Counters by one grammar, noun-verb: `images-fetched`, `images-failed`; what is timed has its unit: `decode-busy-us`.

Each is a Beam counter, and also a tally of this process, which a progress display can read while a local run is on.
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

# Beam would make a new one for each image.
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
    """Keep what a block counts from Beam, which knows no step in a thread of ours, until `hand_over`."""
    _thread.held = []
    try:
        yield _thread.held
    finally:
        _thread.held = None


def hand_over(held: list[tuple[str, int]]) -> None:
    """Tell Beam what was held back, in the thread of the step."""
    for name, n in held:
        _beam_counter(name).inc(n)


@contextlib.contextmanager
def timed(name: str) -> Iterator[None]:
    """Add the microseconds that a block takes to the counter `name`, also when it raises."""
    started = time.perf_counter_ns()
    try:
        yield
    finally:
        count(name, (time.perf_counter_ns() - started) // 1000)


def when_counted(name: str) -> tuple[float, float] | None:
    """Return when this process first and last counted `name` since the last `reset_tally`, by time.monotonic()."""
    with _lock:
        return _when.get(name)


def tally() -> dict[str, int]:
    """Return what this process has counted since the last `reset_tally`."""
    with _lock:
        return dict(_tally)


def reset_tally() -> None:
    """Forget what this process has counted, before a new run."""
    with _lock:
        _tally.clear()
        _when.clear()


def counted(result: Any) -> dict[str, int]:
    """Return what the workers of a run have counted, wherever they are: a pipeline's result -> the counters.

    The runner's word is asked for, which may lag behind; a counter of several steps is their sum.
    """
    found: collections.Counter[str] = collections.Counter()
    for metric in result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]:
        found[metric.key.metric.name] += max(metric.committed or 0, metric.attempted or 0)
    return dict(found)
