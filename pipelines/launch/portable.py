"""Run a pipeline on the runner that Beam's flags name, which may have its workers on other machines."""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import apache_beam as beam
from apache_beam.runners.runner import PipelineState

from pipelines.launch.beam_pipeline import empty_pipeline
from pipelines.launch.claimed import Claim, claimed
from pipelines.plan.plan import Plan
from pipelines.plan.run_stats import RunStats, Speed
from pipelines.plan.runner import Runner, Where
from transforms.core.counters import reset_tally

CANCEL_SECONDS = 60.0
"""How long to wait for a job that was cancelled, in seconds."""
LOOK_SECONDS = 0.25
"""Seconds between two looks at it."""


@dataclasses.dataclass(frozen=True)
class PortableLauncher:
    """Runs pipelines on any of Beam's runners.

    Args:
      beam_args: flags for Beam, including --runner.
    """

    beam_args: list[str]

    @property
    def where(self) -> Where:
        """A runner whose workers may be elsewhere."""
        return Where(Runner.PORTABLE)

    def run(self, build: Callable[[beam.Pipeline], None], plan: Plan) -> RunStats:
        """Run a pipeline to its end, see `pipelines.launch.Launcher`."""
        reset_tally()
        held, result, submitted = Claim(leaves_threads=True), None, time.monotonic()
        with claimed(plan, held):
            pipeline = empty_pipeline(self.beam_args)
            build(pipeline)
            submitted = time.monotonic()
            result = pipeline.run()
            held.cancel = functools.partial(cancel, result)
            result.wait_until_finish()
        return RunStats.of(result, submitted, plan.settings.began)

    def needs(self, plan: Plan) -> list[str]:
        """Return no lines: what a runner needs is not known here."""
        return []

    def costs(self, images: int, measure: Callable[[], Speed]) -> list[str]:
        """Return no lines: what a runner costs is not known here."""
        return []


def cancel(result: Any) -> None:
    """Cancel a job, and wait until it has ended.

    Raises:
      Exception: its runner cannot be reached, does not cancel, or the job goes on.
    """
    if PipelineState.is_terminal(result.state):
        return
    result.cancel()
    until = time.monotonic() + CANCEL_SECONDS
    while not PipelineState.is_terminal(result.state):
        if time.monotonic() > until:
            raise TimeoutError(f"its runner has not ended it within {CANCEL_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)
