"""Run a pipeline in this process, with Beam's in-process runner.

Beam's own choice for `DirectRunner` would first try to download another runner. A local run can be stopped at any
moment, and leaves nothing behind.
"""

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

import apache_beam as beam

from pipelines.console.progress import Progress
from pipelines.launch.beam_pipeline import empty_pipeline
from pipelines.launch.claimed import Claim, claimed
from pipelines.launch.local_runner import LocalRunner
from pipelines.plan.plan import Plan
from pipelines.plan.run_stats import RunStats, Speed
from pipelines.plan.runner import Runner, Where, has_workers
from transforms.backbones import load_backbone
from transforms.core.counters import reset_tally

LOOK_SECONDS = 0.25
"""Seconds between two updates of the progress display."""


@dataclasses.dataclass(frozen=True)
class LocalLauncher:
    """Runs pipelines on this machine.

    Args:
      beam_args: flags for Beam.
    """

    beam_args: list[str]

    @property
    def where(self) -> Where:
        """This machine."""
        return Where(Runner.LOCAL, has_workers=has_workers(self.beam_args))

    def run(self, build: Callable[[beam.Pipeline], None], plan: Plan) -> RunStats:
        """Run a pipeline to its end, see `pipelines.launch.Launcher`."""
        reset_tally()
        with claimed(plan, Claim(leaves_threads=True)):
            pipeline = empty_pipeline(self.beam_args, LocalRunner())
            build(pipeline)
            result, ready = None, time.monotonic()
            result, ready = _watch(pipeline, plan)
        return RunStats.of(result, ready, plan.settings.began)

    def needs(self, plan: Plan) -> list[str]:
        """Return no lines: a local run needs nothing else."""
        return []

    def costs(self, images: int, measure: Callable[[], Speed]) -> list[str]:
        """Return no lines: a local run costs nothing."""
        return []


def _watch(pipeline: beam.Pipeline, plan: Plan) -> tuple[Any, float]:
    """Run a pipeline in a thread while its backbones are loaded here.

    Returns:
      Beam's result, and when the backbones were loaded, in s of time.monotonic().
    """
    results: list[Any] = []
    failed: list[BaseException] = []
    unloadable: list[Exception] = []

    def work() -> None:
        try:
            results.append(pipeline.run())
            results[0].wait_until_finish()
        except BaseException as e:
            failed.append(e)

    thread = threading.Thread(target=work, name="pipeline", daemon=True)
    thread.start()
    with Progress(len(plan.targets), inputs=plan.source.num_inputs) as progress:
        # Load here while the pipeline decodes. A load error would fail the pipeline too, but with Beam's message.
        try:
            for target in plan.targets:
                load_backbone(target.backbone)
        except Exception as e:
            unloadable.append(e)
        ready = time.monotonic()
        while thread.is_alive():
            thread.join(LOOK_SECONDS)
            progress.update()
    if failed:
        raise (unloadable or failed)[0]
    return results[0], ready
