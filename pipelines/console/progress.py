"""Show on stderr how far a command is: a live line on a terminal, elsewhere a plain line every 30 s."""

import time
from collections.abc import Callable
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from pipelines.console.lines import STDERR, complain
from transforms.core.counters import tally

PLAIN_EVERY = 30.0
"""Seconds between two lines where stderr is not a terminal."""


def progress_line(counters: dict[str, int], backbones: int, seconds: float, inputs: int | None = None) -> str:
    """Return how far a run is, in words.

    Args:
      counters: counters by name.
      backbones: number of backbones, each of which counts an image.
      seconds: seconds since the first image was fetched.
      inputs: number of inputs; None if that is known only once all sources are read.
    """
    if not counters:
        # Some runners tell what their workers have counted only at the end.
        return "running; no counts from the workers yet"
    read = counters.get("uris-read", 0)
    reads_on = counters.get("sources-read", 0) < counters.get("sources-found", 0)
    total = (None if reads_on else read) if inputs is None else inputs
    failed = counters.get("images-failed", 0)
    embedded = counters.get("images-embedded", 0) // backbones
    settled = counters.get("uris-settled", 0) // backbones
    done = embedded + settled + failed + counters.get("uris-repeated", 0)
    if not counters.get("images-fetched") and not failed:
        return f"reading uris: {read:,}"
    # What was settled without being embedded took no time, and what is left may not be.
    rate = (done - settled) / seconds if seconds > 0 else 0.0
    if total is None:
        return f"{done:,} of more than {read:,} images, {rate:.1f} img/s, {failed:,} failed"
    if done >= total:
        return f"writing: {total:,} images done, {counters.get('files-written', 0)} files written"
    left = f", {_duration((total - done) / rate)} left" if embedded and rate else ""
    return f"{done:,} of {total:,} images ({100 * done // total}%), {rate:.1f} img/s, {failed:,} failed{left}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


def share_line(what: str, done: int, total: int, seconds: float) -> str:
    """Return how far some work is of which all parts take about as long, in words.

    Args:
      what: what is done.
      done: number of parts that are done.
      total: number of all parts.
      seconds: seconds that those took.
    """
    left = f", {_duration((total - done) * seconds / done)} left" if done and seconds else ""
    return f"{what}: {100 * done // max(total, 1)}%{left}"


class LiveLine:
    """A line on stderr while the block runs, which is gone when it ends; where that is no terminal, one every 30 s."""

    def __init__(self) -> None:
        self.started = self._printed = time.monotonic()
        console = Console(stderr=True)
        is_live = console.is_terminal and not STDERR.is_json
        self._live = Live(console=console, transient=True, auto_refresh=False) if is_live else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._live:
            self._live.stop()

    def show(self, line: str) -> None:
        """Show a line in place of the one before."""
        now = time.monotonic()
        if self._live:
            self._live.update(Text(line), refresh=True)
        elif now - self._printed >= PLAIN_EVERY:
            self._printed = now
            complain(line, level="info")

    def show_share(self, what: str, done: int, total: int) -> None:
        """Show how far some work is that began with the block, see `share_line`."""
        self.show(share_line(what, done, total, time.monotonic() - self.started))


class Progress(LiveLine):
    """Show the progress of a run while the block runs.

    Args:
      backbones: number of backbones of the run.
      counters: function that returns the current counters; default: those of this process.
      inputs: number of inputs, if it is known before they are read.
    """

    def __init__(self, backbones: int, counters: Callable[[], dict[str, int]] = tally, inputs: int | None = None):
        super().__init__()
        self._backbones, self._inputs, self._counters = backbones, inputs, counters
        self._fetching: float | None = None

    def update(self) -> None:
        """Show the current counters."""
        counters, now = self._counters(), time.monotonic()
        if self._fetching is None and counters.get("images-fetched"):
            self._fetching = now
        self.show(progress_line(counters, self._backbones, now - (self._fetching or now), self._inputs))
