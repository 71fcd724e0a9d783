"""What the manifest tells of the runs: the last one beside the one before, all of them, and what to look at first."""

import datetime
import statistics
from collections.abc import Iterator
from typing import NamedTuple

from pipelines.console.summary import TELLING
from transforms.collection.manifest import Manifest, RunEntry, runs_of
from transforms.measure.stage_times import STAGES

RUNS_SHOWN = 30
"""Maximum number of runs in a table or chart."""
FEW = 100
"""Images below which a run's speed says little: the start takes most of the time."""

ROWS = {
    "inputs": ("counts", "inputs"),
    "embedded": ("counts", "embedded"),
    "failed": ("counts", "failed"),
    "skipped, the same as before": ("counts", "skipped"),
    "duplicates of other inputs": ("counts", "duplicates"),
    "new": ("changes", "new"),
    "changed": ("changes", "changed"),
    "taken over from runs that ended early": ("changes", "taken_over"),
    "with another version or other columns": ("changes", "revised"),
    "failed before, and not tried again": ("changes", "known_failures"),
    "gone from the input": ("changes", "gone"),
    "removed": ("changes", "removed"),
}
"""What is told of a run, with its place in the manifest."""


class Told(NamedTuple):
    """A number of the last run, that of the run before, and by how much it is more; '' where there is none."""

    name: str
    last: str
    before: str
    more: str


class Run(NamedTuple):
    """A run, in the words and numbers of a table.

    Attributes:
      known: failures of earlier runs that it did not try again.
      before: rows of the collection before it.
      rows: rows after it.
    """

    started: str
    seconds: float
    images_per_second: float
    inputs: int
    new: int
    changed: int
    failed: int
    known: int
    removed: int
    before: int
    rows: int
    dollars: float | None


def runs_shown(manifest: Manifest) -> list[Run]:
    """Return the last runs, the last one first."""
    return [_run(entry) for entry in runs_of(manifest)[: -RUNS_SHOWN - 1 : -1]]


def _run(entry: RunEntry) -> Run:
    counts, changes = entry["counts"], entry["changes"]
    return Run(
        told_time(entry["times"]["started"]),
        entry["seconds"],
        entry["images_per_second"],
        counts["inputs"],
        changes["new"],
        changes["changed"],
        counts["failed"],
        changes["known_failures"],
        changes["removed"],
        changes["rows_before"],
        rows_after(entry),
        entry["dollars_at_most"],
    )


def rows_after(entry: RunEntry) -> int:
    """Return the rows of the collection when a run had ended."""
    changes = entry["changes"]
    return changes["rows_before"] - changes["changed"] - changes["removed"] + entry["counts"]["embedded"]


def compared(manifest: Manifest) -> list[Told]:
    """Return what the last run did beside what the one before did."""
    return [
        told
        for name, (part, key) in ROWS.items()
        if (told := _told(name, [float(run[part][key]) for run in _last_two(manifest)], "{:,.0f}"))  # type: ignore[literal-required]
    ]


def stages(manifest: Manifest) -> list[Told]:
    """Return the busy seconds of each stage, and the speeds, of the last run and the one before."""
    two = _last_two(manifest)
    found = [_told(f"{stage}, s", [run["stages"].get(stage, 0.0) for run in two], "{:,.1f}") for stage in STAGES]
    found.append(_told("from start to end, s", [run["seconds"] for run in two], "{:,.1f}"))
    found.append(_told("images a second", [run["images_per_second"] for run in two], "{:,.1f}"))
    return [told for told in found if told]


def _last_two(manifest: Manifest) -> list[RunEntry]:
    return runs_of(manifest)[:-3:-1]


def _told(name: str, values: list[float], form: str) -> Told | None:
    """Say a number of one run or two; None if it is 0 in both, which is no news."""
    if not any(values):
        return None
    if len(values) == 1:
        return Told(name, form.format(values[0]), "", "")
    more = values[0] - values[1]
    sign = "+" if more > 0 else "-"
    last, before = map(form.format, values)
    return Told(name, last, before, f"{sign}{form.format(abs(more))}" if more else "same")


def notices(manifest: Manifest) -> Iterator[str]:
    """Yield what a person should look at first, a sentence each."""
    runs, counts, changes, health = runs_of(manifest), manifest["counts"], manifest["changes"], manifest["health"]
    failed = counts["failed"] - changes["known_failures"]
    if failed > 0:
        yield f"{failed:,} of {counts['inputs']:,} inputs failed in the last run."
    for name, what in (("nan", "hold NaN"), ("zero", "are zero")):
        if number := health.get(name):
            yield f"{number:,} of the last run's vectors {what}, and resemble nothing."
    if health.get("vectors", 0) >= TELLING and health["constant_dims"]:
        yield f"{health['constant_dims']:,} dimensions were constant in the last run's vectors."
    left = changes["gone"] - changes["removed"]
    if left > 0:
        yield f"{left:,} images are gone from the input, and their rows stay; --remove_missing would drop them."
    speeds = [run["images_per_second"] for run in runs[:-1] if run["counts"]["embedded"] >= FEW]
    if speeds and runs[-1]["counts"]["embedded"] >= FEW:
        usual, last = statistics.median(speeds), runs[-1]["images_per_second"]
        if last < usual / 2:
            yield f"The last run embedded {last:,.1f} images a second; {usual:,.1f} are usual."


def told_time(iso: str) -> str:
    """Return a time of the manifest as people write it."""
    return f"{datetime.datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC"
