"""The pace at which all threads of a process ask a service that may refuse requests for being too many.

A bucket of Cloud Storage begins at about 5,000 reads a second, doubles in 20 minutes, and meanwhile answers 429 or 503:
https://cloud.google.com/storage/docs/request-rate. If each thread only paused by itself, the others would go on.
"""

import logging
import threading
import time

FIRST_INTERVAL, LONGEST_INTERVAL = 0.01, 1.0
"""Seconds between two requests of a process, after the first refusal, and at most."""

SPEED_UP = 0.95
"""Factor of the interval after each answer; with doubling after each refusal, 7 % are refused in the long run."""

LOG = logging.getLogger(__name__)


class Pace:
    """When the next request may be made: at once until one is refused, then at intervals that shrink again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interval = self._next = self._slowed = 0.0

    def turn(self, deadline: float) -> float | None:
        """Wait for this thread's turn; return its time, or None at once if it would come after the deadline.

        Args:
          deadline: in s of time.monotonic(), as is the returned time.
        """
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            if turn >= deadline:
                return None
            self._next = turn + self._interval
        time.sleep(turn - now)
        return turn

    def refused(self, turn: float, after: float) -> None:
        """Slow down, since the request of this turn was refused.

        Args:
          turn: the time that `turn` returned; refusals of requests from before the last slowing are part of it.
          after: seconds for which the service asks to be left alone.
        """
        with self._lock:
            now = time.monotonic()
            if turn >= self._slowed:
                self._slowed = now
                self._interval = min(max(2 * self._interval, FIRST_INTERVAL), LONGEST_INTERVAL)
                LOG.info("requests are refused for being too many; from now on one every %.2f s", self._interval)
            self._next = max(self._next, now + max(after, self._interval))

    def answered(self) -> None:
        """Speed up a little, since a request was answered."""
        with self._lock:
            interval = SPEED_UP * self._interval
            self._interval = interval if interval > FIRST_INTERVAL / 10 else 0.0
