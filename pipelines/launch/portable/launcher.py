"""Run a pipeline on the runner that Beam's flags name, which may have its workers on other machines."""

import contextlib
import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.runners.runner import PipelineState

from pipelines.console.progress import Progress
from pipelines.launch.beam_pipeline import empty_pipeline
from pipelines.launch.claimed import Claim, claimed
from pipelines.launch.portable.services import find_services
from pipelines.options.command_line import check_beam_flags
from pipelines.plan.plan import Plan
from pipelines.plan.run_stats import RunStats, Speed
from pipelines.plan.runner import Runner, Where, named_runner
from transforms.core.counters import counted, reset_tally

CANCEL_SECONDS = 60.0
"""How long to wait for a job that was cancelled, in seconds."""
LOOK_SECONDS = 0.25
"""Seconds between two looks at it."""
METRICS_SECONDS = 1.0
"""Seconds between two questions for its counters."""
JOB_SECONDS = 30 * 86_400
"""How long a job may take, in seconds: Beam applies --job_server_timeout, 5 minutes, to the stream of states, too."""


@dataclasses.dataclass(frozen=True)
class PortableLauncher:
    """Runs pipelines on any of Beam's runners.

    Args:
      beam_args: flags for Beam, including --runner.
      is_loopback: whether the workers are threads of this process.
    """

    beam_args: list[str]
    is_loopback: bool = False

    @property
    def where(self) -> Where:
        """A runner whose workers may be elsewhere."""
        return Where(Runner.PORTABLE, is_loopback=self.is_loopback)

    def run(self, build: Callable[[beam.Pipeline], None], plan: Plan) -> RunStats:
        """Run a pipeline to its end, see `pipelines.launch.Launcher`."""
        reset_tally()
        held, result, submitted = Claim(leaves_threads=True), None, time.monotonic()
        with claimed(plan, held):
            pipeline = portable_pipeline(self.beam_args)
            build(pipeline)
            submitted = time.monotonic()
            result = pipeline.run()
            held.cancel = functools.partial(cancel, result)
            follow(result, plan)
        return RunStats.of(result, submitted, plan.settings.began)

    def needs(self, plan: Plan) -> list[str]:
        """Return no lines: what a runner needs is not known here."""
        return []

    def costs(self, images: int, measure: Callable[[], Speed]) -> list[str]:
        """Return no lines: what a runner costs is not known here."""
        return []


def portable_pipeline(beam_args: Sequence[str]) -> beam.Pipeline:
    """Return an empty pipeline for a job that may take JOB_SECONDS, unless the flags say otherwise."""
    # First, since the last of several counts.
    return empty_pipeline([f"--job_server_timeout={JOB_SECONDS}", *beam_args])


def portable_launcher(beam_args: list[str]) -> PortableLauncher:
    """Return a launcher once all that its runner needs is found.

    Raises:
      UsageError: something is not there, or a flag is unknown.
    """
    services = find_services(named_runner(beam_args).name, beam_args)
    check_beam_flags(beam_args, services.flags)
    return PortableLauncher(beam_args, services.is_loopback)


def follow(result: Any, plan: Plan) -> None:
    """Show a job's progress until it ends, and raise what it ended with."""
    failed: list[BaseException] = []

    def wait() -> None:
        try:
            result.wait_until_finish()
        except BaseException as e:
            failed.append(e)

    waiting = threading.Thread(target=wait, name="job", daemon=True)
    waiting.start()
    counters: dict[str, int] = {}
    with Progress(len(plan.targets), lambda: counters, plan.source.num_inputs) as progress:
        looked = 0.0
        while waiting.is_alive():
            waiting.join(LOOK_SECONDS)
            if time.monotonic() - looked >= METRICS_SECONDS:
                # A server that is too busy to answer, or gone, is for `wait_until_finish` to judge.
                with contextlib.suppress(Exception):
                    counters = counted_now(result)
                looked = time.monotonic()
            progress.update()
    if failed:
        raise failed[0]
    # Who asks for its counters now is told those of its end, not of the last look.
    result._metrics = None


def counted_now(result: Any) -> dict[str, int]:
    """Return what the workers of a job have counted by now; its result would repeat its first answer for ever."""
    result._metrics = None
    return counted(result)


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
