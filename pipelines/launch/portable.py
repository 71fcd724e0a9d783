"""Run a pipeline on the runner that Beam's flags name, which may have its workers on other machines."""

import dataclasses
import time
from collections.abc import Callable

import apache_beam as beam

from pipelines.launch.beam_options import BeamOptions
from pipelines.launch.claimed import Claim, claimed
from pipelines.plan.plan import Plan
from pipelines.plan.run_stats import RunStats, Speed
from pipelines.plan.runner import Runner, Where
from transforms.core.counters import reset_tally


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
        with claimed(plan, Claim(leaves_threads=True)):
            pipeline = beam.Pipeline(options=BeamOptions(self.beam_args))
            build(pipeline)
            submitted = time.monotonic()
            result = pipeline.run()
            result.wait_until_finish()
        return RunStats.of(result, submitted, plan.settings.began)

    def needs(self, plan: Plan) -> list[str]:
        """Return no lines: what a runner needs is not known here."""
        return []

    def costs(self, images: int, measure: Callable[[], Speed]) -> list[str]:
        """Return no lines: what a runner costs is not known here."""
        return []
