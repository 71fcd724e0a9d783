"""Run a pipeline on Google Dataflow."""

import dataclasses
from collections.abc import Callable

import apache_beam as beam

from pipelines.launch.dataflow.estimate import check_memory, cost_lines, dollars_an_hour
from pipelines.launch.dataflow.job import DataflowJob
from pipelines.launch.dataflow.needs import need_lines
from pipelines.launch.dataflow.submission import submit
from pipelines.plan.plan import Plan
from pipelines.plan.run_stats import RunStats, Speed
from pipelines.plan.runner import Runner, Where


@dataclasses.dataclass(frozen=True)
class DataflowLauncher:
    """Runs pipelines as jobs of Dataflow.

    Args:
      job: the job that the flags describe.
    """

    job: DataflowJob

    @property
    def where(self) -> Where:
        """Dataflow, with the resource hints of the job, and its price."""
        return Where(Runner.DATAFLOW, self.job.hints, dollars_an_hour=dollars_an_hour(self.job))

    def run(self, build: Callable[[beam.Pipeline], None], plan: Plan) -> RunStats | None:
        """Submit a job and follow it to its end, see `pipelines.launch.Launcher`."""
        check_memory(plan, self.job)
        return submit(build, plan, self.job.named(plan))

    def needs(self, plan: Plan) -> list[str]:
        """Return what the job needs, see `pipelines.launch.Launcher`."""
        return need_lines(plan, self.job)

    def costs(self, images: int, measure: Callable[[], Speed]) -> list[str]:
        """Return what the job costs, see `pipelines.launch.Launcher`."""
        return cost_lines(self.job, images, measure(), self.job.workers)
