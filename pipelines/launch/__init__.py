"""Where a run happens, behind one interface: choose a launcher, and let it run the pipeline to its end."""

from collections.abc import Callable
from typing import Protocol

import apache_beam as beam

from pipelines.launch.beam_pipeline import billed
from pipelines.launch.dataflow.contradictions import refuse_dataflow_flags
from pipelines.launch.dataflow.job import dataflow_job
from pipelines.launch.dataflow.launcher import DataflowLauncher
from pipelines.launch.local import LocalLauncher
from pipelines.launch.portable.launcher import portable_launcher
from pipelines.options.settings import Settings
from pipelines.plan.plan import Plan
from pipelines.plan.run_stats import RunStats, Speed
from pipelines.plan.runner import Runner, Where, runner_of


class Launcher(Protocol):
    """Runs pipelines in one kind of place.

    Attributes:
      where: the place.
    """

    @property
    def where(self) -> Where: ...

    def run(self, build: Callable[[beam.Pipeline], None], plan: Plan) -> RunStats | None:
        """Build a pipeline and run it to its end; return None if it is submitted and not awaited.

        Raises:
          UsageError: something cannot work; nothing was begun.
          RunError: the run failed; what it wrote is removed.
          Interrupted: a signal ended the run.
        """

    def needs(self, plan: Plan) -> list[str]:
        """Return what a run would need, line by line, after checks that leave nothing behind; raise UsageError."""

    def costs(self, images: int, measure: Callable[[], Speed]) -> list[str]:
        """Return what a run would cost, line by line; [] if it costs nothing.

        Args:
          images: number of inputs.
          measure: function that returns the speed of this machine, called if needed.
        """


def launcher_for(settings: Settings, beam_args: list[str]) -> Launcher:
    """Return the launcher for the runner that Beam's flags name.

    Raises:
      UsageError: a flag is missing, or contradicts the runner or another flag.
    """
    runner = runner_of(beam_args)
    if settings.billing_project:
        beam_args = billed(settings.billing_project, beam_args)
    if runner is Runner.DATAFLOW:
        return DataflowLauncher(dataflow_job(settings, beam_args))
    refuse_dataflow_flags(settings)
    return LocalLauncher(beam_args) if runner is Runner.LOCAL else portable_launcher(beam_args)
