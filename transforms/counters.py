"""Counters by one grammar, noun-verb: `images-fetched`, `images-failed`.

Each is a Beam counter, and also a tally of this process, which a progress display can read while a local run is on.
"""

import collections
import threading

from apache_beam.metrics import Metrics

NAMESPACE = "embed-images"

_tally: collections.Counter[str] = collections.Counter()
_lock = threading.Lock()


def count(name: str, n: int = 1) -> None:
    """Add `n` to the counter `name`."""
    Metrics.counter(NAMESPACE, name).inc(n)
    with _lock:
        _tally[name] += n


def tally() -> dict[str, int]:
    """Return what this process has counted since the last `reset_tally`."""
    with _lock:
        return dict(_tally)


def reset_tally() -> None:
    """Forget what this process has counted, before a new run."""
    with _lock:
        _tally.clear()
