"""What a person reads when a run is over, all of it from the manifest that was written; and the exit code."""

import glob
import json
import shlex
from collections.abc import Sequence
from typing import Any

from pipelines.launch.local import RunFacts
from pipelines.plan.plan import Plan, Target
from transforms.commit.commit import read_manifest
from transforms.write.shards import FAILURES_PREFIX

REASONS_SHOWN = 2


def exit_code(plan: Plan, max_failure_ratio: float) -> int:
    """Return 3 where more failed than is allowed, or all, by any backbone; else 0."""
    for target in plan.targets:
        counts = _manifest(target)["counts"]
        images = counts["inputs"] - counts["duplicates"] - counts["skipped"]
        if counts["failed"] > max_failure_ratio * images or (counts["failed"] and not counts["embedded"]):
            return 3
    return 0


def print_summary(plan: Plan, facts: RunFacts) -> None:
    """Print 8 to 12 lines for each backbone to stdout, the next commands last."""
    for target in plan.targets:
        print("\n".join(summary_lines(target, _manifest(target), facts, plan.command_line)))


def _manifest(target: Target) -> dict[str, Any]:
    manifest = read_manifest(target.output)
    if manifest is None:
        raise RuntimeError(f"{target.output} has no manifest")
    return manifest


def summary_lines(target: Target, manifest: dict[str, Any], facts: RunFacts, command_line: Sequence[str]) -> list[str]:
    """Say what became of the inputs, what was written, and how the vectors look."""
    counts, spec, health = manifest["counts"], manifest["embedding_spec"], manifest["health"]
    device = (
        "GPU" if facts.counters.get("batches-on-gpu") else "CPU" if facts.counters.get("batches-on-cpu") else "none"
    )
    rate = counts["embedded"] / facts.seconds if facts.seconds else 0.0
    size = sum(f["bytes"] for f in manifest["files"])
    lines = [
        f"{counts['embedded']:,} of {counts['inputs']:,} inputs embedded by {spec['backbone']} into {target.output}",
        f"  counts    inputs {counts['inputs']:,} = embedded {counts['embedded']:,} + failed {counts['failed']:,} "
        f"+ skipped {counts['skipped']:,} + duplicates {counts['duplicates']:,}",
        *_reason_lines(manifest["failures"]),
        f"  files     {len(manifest['files'])}, {_bytes(size)}, run {manifest['run_id']}",
        f"  vectors   {spec['dim']} x {spec['embedding_dtype']}, {spec['weights']} weights, output {spec['output']}, "
        f"fingerprint {manifest['embedding_spec_fingerprint']}",
        f"  health    {_health(health)}",
        f"  speed     {rate:.1f} img/s, {facts.seconds:.1f} s, {spec['engine']} in {spec['precision']} on {device}",
        f"  stages    {_stages(facts)}",
    ]
    return [*lines, *_next_commands(target, manifest, command_line)]


def _reason_lines(reasons: dict[str, Any]) -> list[str]:
    shown = [
        f"  failed    {seen['count']:,} {reason} ({seen['kind']}), e.g. {seen['example']}: {seen['message']}"
        for reason, seen in list(reasons.items())[:REASONS_SHOWN]
    ]
    others = list(reasons.items())[REASONS_SHOWN:]
    if others:
        shown.append("  failed    " + ", ".join(f"{seen['count']:,} {reason}" for reason, seen in others))
    return shown or ["  failed    none"]


def _health(health: dict[str, Any]) -> str:
    if not health.get("vectors"):
        return "no vectors"
    norms = "no finite vector"
    if health["norm_mean"] is not None:
        norms = f"norm {health['norm_min']:.4g} to {health['norm_max']:.4g}, mean {health['norm_mean']:.4g}"
    return (
        f"{norms}; {health['nan']:,} NaN, {health['zero']:,} zero, {health['constant_dims']:,} constant dimensions, "
        f"{health['duplicates']:.1%} duplicates"
    )


def _stages(facts: RunFacts) -> str:
    """Say where the time went, summed over all threads: wait is that of devices that were ready and had no batch."""
    named = {
        "fetch": "fetch-busy-us",
        "decode": "decode-busy-us",
        "forward": "forward-busy-us",
        "write": "write-busy-us",
        "wait": "forward-waited-us",
    }
    seconds = {stage: facts.counters.get(name, 0) / 1e6 for stage, name in named.items()}
    seconds = {"start": facts.start_seconds, **seconds}
    return ", ".join(f"{stage} {value:.1f} s" for stage, value in seconds.items())


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("the loop returns")


def _next_commands(target: Target, manifest: dict[str, Any], command_line: Sequence[str]) -> list[str]:
    names = [f["name"] for f in manifest["files"]]
    folder = target.output.rstrip("/")
    commands = []
    if any(name.startswith(FAILURES_PREFIX) for name in names):
        failures = f"{glob.escape(folder)}/{FAILURES_PREFIX}-{manifest['run_id']}-*.jsonl"
        backbone = f" --backbone {target.backbone.name}"
        commands.append(
            f"retry the failures:  embed-images --input {shlex.quote(failures)} "
            f"--output {shlex.quote(folder + '-retry')}{backbone}{_kept_flags(command_line)}"
        )
    if any(name.endswith(".parquet") for name in names):
        path = json.dumps(_first(target, names, ".parquet"), ensure_ascii=False)
        code = f"import pyarrow.parquet as pq; print(pq.read_table({path}))"
        commands.append(f"read the result:     python -c {shlex.quote(code)}")
    elif any(name.endswith(".tfrecord.gz") for name in names):
        path = json.dumps(_first(target, names, ".tfrecord.gz"), ensure_ascii=False)
        code = f'import tensorflow as tf; print(sum(1 for _ in tf.data.TFRecordDataset({path}, "GZIP")))'
        commands.append(f"read the result:     python -c {shlex.quote(code)}")
    return commands


def _first(target: Target, names: list[str], suffix: str) -> str:
    return f"{target.output.rstrip('/')}/{next(name for name in names if name.endswith(suffix))}"


def _kept_flags(command_line: Sequence[str]) -> str:
    """Return the flags of a command line that the next one keeps: all but the input, the output and the backbone."""
    replaced = ("--input", "--output", "--uri_column", "--backbone", "--overwrite", "--dry_run")
    kept: list[str] = []
    dropping = False
    for argument in command_line:
        if argument.startswith("--"):
            dropping = argument.partition("=")[0] in replaced
        if not dropping:
            kept.append(shlex.quote(argument))
    return " " + " ".join(kept) if kept else ""
