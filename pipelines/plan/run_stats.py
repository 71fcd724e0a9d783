"""What only the process that ran a pipeline knows about it."""

import collections
import contextlib
import dataclasses
import time
from typing import Any

from transforms.core.counters import counted, tally, when_counted


@dataclasses.dataclass(frozen=True)
class RunStats:
    """How long a run took, and what it counted.

    Attributes:
      seconds: duration of the pipeline.
      start_seconds: time before its first image; on this machine also until the backbones are loaded, though the first
        images are decoded meanwhile.
      counters: counters of all workers, by name.
    """

    seconds: float
    start_seconds: float
    counters: dict[str, int]

    @classmethod
    def of(cls, result: Any, ready: float, began: float) -> "RunStats":
        """Return the stats of a pipeline that has just ended.

        Args:
          result: Beam's result; None if it was lost.
          ready: when its backbones were loaded, or the pipeline was submitted, in s of time.monotonic().
          began: when the command started, likewise.
        """
        elsewhere: dict[str, int] = {}
        # A run that has ended is whole even if its runner is gone, and with it the counters.
        with contextlib.suppress(Exception):
            elsewhere = counted(result)
        first, _ = when_counted("images-fetched") or (ready, ready)
        # The counters of this process, and those that workers in other processes reported to the runner.
        counters = collections.Counter(tally()) | collections.Counter(elsewhere)
        return cls(time.monotonic() - ready, max(first, ready) - began, dict(counters))


@dataclasses.dataclass(frozen=True)
class Speed:
    """Core-seconds of this machine per image, as a dry run measures them."""

    decode: float
    forward: float
