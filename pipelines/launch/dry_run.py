"""Report what a run would do, from five of its images; nothing is written."""

import statistics
from typing import Any

from pipelines.console.exit_codes import DONE, OVER_BUDGET
from pipelines.console.lines import say
from pipelines.launch import Launcher
from pipelines.launch.foreseen import foreseen
from pipelines.launch.trial import try_first_images
from pipelines.plan.disk import AT_ONCE, bytes_of, free_bytes
from pipelines.plan.plan import Plan
from transforms.collection.columns import embeddings_schema


def print_dry_run(plan: Plan, launcher: Launcher) -> int:
    """Print the report; return the exit code, OVER_BUDGET if none of the images could be embedded.

    Raises:
      UsageError: the run cannot work.
    """
    for line in launcher.needs(plan):
        say(line)
    trial, lines = try_first_images(plan)
    say(f"inputs    {trial.inputs:,}, of which the first {trial.tried} are tried")
    for line in (*foreseen(plan), *lines):
        say(line)
    settings, embedded = plan.settings, 0
    for target in plan.targets:
        spec, count = target.spec, trial.embed(plan, target)
        embedded += count
        num_bytes, free = bytes_of([spec], trial.inputs, 1), free_bytes(target.output)
        files = settings.num_shards or -(-num_bytes // settings.shard_bytes)
        schema = embeddings_schema(spec, plan.source.columns, target.backbone.top_k)
        say(f"{spec.backbone}: {count} of {len(trial.pixels)} embedded, {spec.dim} x {spec.embedding_dtype}")
        if target.found_in:
            say(f"  weights {target.weights}")
        size = f"about {files:,} files, {num_bytes / 1e6:,.1f} MB before compression, each format"
        say(f"  output  {target.output}: {size}")
        if free is not None:
            needed = AT_ONCE * num_bytes * len(settings.output_format)
            say(f"  disk    about {needed / 1e6:,.1f} MB while it is written, {free / 1e9:,.1f} GB free")
        say(f"  schema  {_schema(schema)}")
    costs = launcher.costs(trial.inputs, trial.speed) if trial.pixels else []
    if costs:
        say(f"  read      about {trial.inputs * statistics.mean(trial.sizes) / 1e9:,.2f} GB of images")
    for line in costs:
        say(line)
    say("nothing was written; run it without --dry_run")
    return DONE if embedded else OVER_BUDGET


def _schema(schema: Any) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
