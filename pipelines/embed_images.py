"""Read image uris, fetch the images, decode them, embed them, write the embeddings and what was lost.

embed-images --input photos/ --output embeddings/
"""

import dataclasses
import functools
import logging
from typing import Any

import apache_beam as beam

from pipelines.console.lines import STDERR
from pipelines.console.summary import conclude
from pipelines.launch import launcher_for
from pipelines.launch.dry_run import print_dry_run
from pipelines.options.settings import Settings
from pipelines.plan.plan import Plan, Target, make_plan
from pipelines.plan.stages import (
    decode_of,
    embed_of,
    failures_sink_of,
    fetch_differing_of,
    manifest_of,
    merge_of,
    sinks_of,
)
from transforms import CountReasons, MeasureHealth
from transforms.commit.budget import FailOverBudget
from transforms.embed.compare_canaries import CompareCanaries
from transforms.measure.stage_times import MeasureStages
from transforms.update.fetching import NeededBy, Standing
from transforms.update.merge import NOTHING_STANDS

LOG = logging.getLogger(__name__)


def run(settings: Settings, beam_args: list[str]) -> int:
    """Check, run and report; return the exit code of the command.

    Raises:
      UsageError: something cannot work; one line says what to do.
      RunError: the run began and failed.
      Interrupted: a signal ended the run.
    """
    launcher = launcher_for(settings, beam_args)
    plan = make_plan(settings, launcher.where)
    STDERR.run_id = plan.run_id
    for target in plan.targets:
        for run_id, parts in target.standing.parts:
            LOG.info("%d finished parts of run %s are taken over into %s", len(parts), run_id, target.output)
    if settings.dry_run:
        return print_dry_run(plan, launcher)
    stats = launcher.run(functools.partial(build, plan=plan), plan)
    return conclude(plan, stats) if stats else 0


def build(root: beam.Pipeline, plan: Plan) -> None:
    """Apply a plan to the root of a pipeline: fetch and decode each image once, and embed it with each backbone."""
    uris, unread, counts = root | plan.source
    images, unfetched, standing = uris | fetch_differing_of(plan)
    pixels, undecoded = images | decode_of(plan)
    lost = (unread, unfetched, undecoded)
    manifests = [
        pixels | target.backbone.name >> EmbedAndCommit(plan, target, counts, lost, standing.get(target.backbone.name))
        for target in plan.targets
    ]
    if plan.settings.no_wait:
        # Nobody is there to read the summary and the exit code.
        _ = manifests | "Manifests" >> beam.Flatten() | "Budget" >> FailOverBudget(plan.settings.max_failure_ratio)


@dataclasses.dataclass
class EmbedAndCommit(beam.PTransform):
    """Embed images with one backbone, write embeddings and failures, and commit them: Pixels -> Manifest.

    Args:
      plan: the run's plan.
      target: the backbone, and where its embeddings go.
      counts: counts of the inputs, as `ReadImageUris` gives them.
      lost: the failures of the stages before.
      standing: what stands in the target's folder, None for nothing.
    """

    plan: Plan
    target: Target
    counts: Any
    lost: tuple[Any, ...]
    standing: Standing | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, pixels: Any) -> Any:
        plan, target = self.plan, self.target
        embed = embed_of(plan, target).with_resource_hints(**plan.where.resource_hints)
        lost, merged = list(self.lost), NOTHING_STANDS
        if self.standing:
            needed = NeededBy(target.backbone.name)
            pixels = pixels | "Needed" >> needed
            lost = [one | f"Needed_{i}" >> needed for i, one in enumerate(lost)]
        embeddings, unembedded, canaries = pixels | "Embed" >> embed
        if self.standing:
            merged = embeddings | "Merge" >> merge_of(plan, target, self.standing, unread=self.lost[0])
        written = [embeddings | f"Write_{format_}" >> sink for format_, sink in sinks_of(plan, target, merged)]
        failures = [*lost, unembedded, *merged.failures]
        compare = CompareCanaries(target.backbone.precision, target.canary)
        count_reasons = beam.CombineGlobally(CountReasons()).without_defaults()
        outcome = {
            "counts": self.counts,
            "embeddings": written | "Written" >> beam.Flatten(),
            "failures": failures[0] | "WriteFailures" >> failures_sink_of(plan, target, merged, more=failures[1:]),
            "stages": embeddings | "Stages" >> MeasureStages(),
            "health": embeddings | "Health" >> beam.CombineGlobally(MeasureHealth()).with_fanout(plan.where.fanout),
            "reasons": failures | "Failures" >> beam.Flatten() | "Reasons" >> count_reasons,
            "canaries": canaries | "Canaries" >> beam.CombineGlobally(compare),
        }
        return {**outcome, **merged.accounted} | "Commit" >> manifest_of(plan, target)


if __name__ == "__main__":
    # Run like this, it would otherwise do nothing and succeed.
    raise SystemExit("this is the pipeline; the command is embed-images, or: python -m pipelines.command")
