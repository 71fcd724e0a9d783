"""The summary that ends a run, all of it from the manifest that was written, and the exit code."""

import json
import logging
import shlex
from collections.abc import Sequence
from typing import Any

from pipelines.console.exit_codes import DONE, OVER_BUDGET
from pipelines.console.lines import say
from pipelines.options.given import COMMAND_LINE
from pipelines.options.settings import Settings
from pipelines.plan.plan import Plan, Target
from pipelines.plan.run_stats import RunStats
from transforms.collection.layout import format_of, path_of
from transforms.collection.manifest import Health, Manifest, ReasonEntry, read_manifest
from transforms.commit.budget import is_over_budget
from transforms.core.errors import RunError
from transforms.measure.stage_times import STAGES

LOG = logging.getLogger(__name__)

REASONS_SHOWN = 2

OTHERS = "other_file"
"""The reason of failures that were never to be images, and are told apart."""

TELLING = 30
"""Vectors from which on constant dimensions say something of the model. By MobileNetV2, of real photos, 2 have 139 in
common by chance, 5 have 6, and 15 none; 30 leave room for photos that are more alike."""

CHANGES = {
    "new": "new",
    "changed": "changed",
    "taken_over": "taken over from runs that ended early",
    "revised": "with another version or other columns",
    "gone": "gone from the input",
    "removed": "removed",
}
"""What the summary says of a manifest's changes, in its order."""

READERS = {
    "parquet": "import pyarrow.parquet as pq; print(pq.read_table({path}))",
    "tfrecord": 'import tensorflow as tf; print(sum(1 for _ in tf.data.TFRecordDataset({path}, "GZIP")))',
}
"""Python code that reads a file, by its format."""


def conclude(plan: Plan, stats: RunStats) -> int:
    """Print 8 to 12 lines for each backbone to stdout, the next commands last; return the exit code."""
    for stage in ("fetch", "decode", "forward", "write"):
        LOG.info("stage %s ended after %.1f s of work", stage, stats.counters.get(STAGES[stage], 0) / 1e6)
    manifests = [_manifest(target, plan.run_id) for target in plan.targets]
    for target, manifest in zip(plan.targets, manifests, strict=True):
        say(*summary_lines(target, manifest, stats, plan.settings))
    return exit_code(manifests, plan.settings.max_failure_ratio)


def exit_code(manifests: Sequence[Manifest], max_failure_ratio: float) -> int:
    """Return OVER_BUDGET if, for any backbone, more inputs failed than allowed, or all did; else DONE."""
    over = any(is_over_budget(manifest["counts"], max_failure_ratio) for manifest in manifests)
    return OVER_BUDGET if over else DONE


def _manifest(target: Target, run_id: str) -> Manifest:
    manifest = read_manifest(target.output)
    if manifest is None or manifest["run_id"] != run_id:
        raise RunError(f"run {run_id} was committed, but {target.output} no longer holds it")
    return manifest


def summary_lines(target: Target, manifest: Manifest, stats: RunStats, settings: Settings) -> list[str]:
    """Return what became of the inputs, what was written, and how the vectors look, line by line."""
    counts, spec, health = manifest["counts"], manifest["embedding_spec"], manifest["health"]
    device = (
        "GPU" if stats.counters.get("batches-on-gpu") else "CPU" if stats.counters.get("batches-on-cpu") else "none"
    )
    rate = counts["embedded"] / stats.seconds if stats.seconds else 0.0
    size = sum(f["bytes"] for f in manifest["files"])
    engines = " and ".join(dict.fromkeys(worker["engine"] for worker in manifest["workers"])) or target.backbone.engine
    lines = [
        f"{counts['embedded']:,} of {counts['inputs']:,} inputs embedded by {spec['backbone']} into {target.output}",
        f"  counts    inputs {counts['inputs']:,} = embedded {counts['embedded']:,} + failed {counts['failed']:,} "
        f"+ skipped {counts['skipped']:,} + duplicates {counts['duplicates']:,}",
        *_change_lines(manifest),
        *_version_lines(stats.counters.get("uris-in-two-versions", 0)),
        *_reason_lines(manifest["failures"], manifest["changes"]["known_failures"]),
        f"  files     {len(manifest['files'])}, {_bytes(size)}, run {manifest['run_id']}",
        f"  vectors   {spec['dim']} x {spec['embedding_dtype']}, {target.weights}, output {spec['output']}, "
        f"fingerprint {manifest['embedding_spec_fingerprint']}",
        f"  health    {_health(health)}",
        f"  speed     {rate:.1f} img/s, {stats.seconds:.1f} s, {engines} in {spec['precision']} on {device}",
        f"  stages    {_stages(stats)}",
    ]
    return [*lines, *_next_commands(target, manifest, settings)]


def _change_lines(manifest: Manifest) -> list[str]:
    """Return what a run changed in a collection, or took over; nothing for a run that began anew."""
    changes: dict[str, Any] = {**manifest["changes"]}
    if not changes["rows_before"] and not changes["taken_over"]:
        return []
    said = ", ".join(f"{changes[name]:,} {words}" for name, words in CHANGES.items() if changes[name]) or "nothing"
    return [f"  changes   {said}; rows {changes['rows_before']:,} before, {manifest['collection']['rows']:,} now"]


def _version_lines(repeated: int) -> list[str]:
    return [f"  versions  {repeated:,} repeated uris have another version; the first row counts"] if repeated else []


def _reason_lines(reasons: dict[str, ReasonEntry], known: int) -> list[str]:
    reasons, told_apart = dict(reasons), []
    if others := reasons.pop(OTHERS, None):
        told_apart = [
            f"  others    {others['count']:,} of the failed are no images by their suffix, and were not fetched, e.g. "
            f"{others['example']}"
        ]
    earlier = [f"  failed    {known:,} before, and not tried again; --retry all would"] if known else []
    shown = [
        f"  failed    {entry['count']:,} {reason} ({entry['kind']}), e.g. {entry['example']}: {entry['message']}"
        for reason, entry in list(reasons.items())[:REASONS_SHOWN]
    ]
    rest = list(reasons.items())[REASONS_SHOWN:]
    if rest:
        shown.append("  failed    " + ", ".join(f"{entry['count']:,} {reason}" for reason, entry in rest))
    return [*shown, *earlier, *told_apart] or ["  failed    none"]


def _health(health: Health) -> str:
    if not health.get("vectors"):
        return "no vectors"
    norms = "no finite vector"
    if health["norm_mean"] is not None:
        norms = f"norm {health['norm_min']:.4g} to {health['norm_max']:.4g}, mean {health['norm_mean']:.4g}"
    constant = f" {health['constant_dims']:,} constant dimensions," if health["vectors"] >= TELLING else ""
    return f"{norms}; {health['nan']:,} NaN, {health['zero']:,} zero,{constant} {health['duplicates']:.1%} duplicates"


def _stages(stats: RunStats) -> str:
    """Return where the time went, summed over all threads, devices and processes."""
    seconds = {stage: stats.counters.get(name, 0) / 1e6 for stage, name in STAGES.items()}
    return ", ".join(f"{stage} {value:.1f} s" for stage, value in {"start": stats.start_seconds, **seconds}.items())


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("the loop returns")


def _next_commands(target: Target, manifest: Manifest, settings: Settings) -> list[str]:
    names = [file["name"] for file in manifest["files"]]
    commands = []
    if manifest["changes"]["known_failures"] or set(manifest["failures"]) - {OTHERS}:
        commands.append(f"retry the failures:  {shlex.join(retrying(settings))}")
    readable = [(format_, name) for format_ in READERS for name in names if format_of(name) == format_]
    if readable:
        format_, name = readable[0]
        code = READERS[format_].format(path=json.dumps(path_of(target.output, name), ensure_ascii=False))
        commands.append(f"read the result:     python -c {shlex.quote(code)}")
    return commands


def retrying(settings: Settings) -> list[str]:
    """Return the command that tries all failures of a collection again, from the settings of the run before."""
    kept: list[str] = []
    dropping = False
    for argument in settings.command_line:
        if argument.startswith("--"):
            dropping = argument.partition("=")[0] in ("--existing", "--retry", "--resume")
        if not dropping:
            kept.append(argument)
    # A variable or a file would name the run again that was taken over.
    resumed = ["--resume="] if settings.resume and settings.origins["resume"] != COMMAND_LINE else []
    return ["embed-images", *kept, "--existing", "update", "--retry", "all", *resumed]
