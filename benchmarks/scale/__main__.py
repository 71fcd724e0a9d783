"""Measure what grows with the number of images beside their embedding, and write docs/operate/scale.md.

python -m benchmarks.scale --images 300000 1000000 3000000 10000000 --output docs/operate/scale.md

Runs of so many uris go through reading, comparing, writing and committing, by `benchmarks.scale.unembedded`; then each
step that one worker does alone is measured by itself, and reckoned for up to ten thousand million images.
"""

import argparse
import collections
import datetime
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator, Sequence

from benchmarks.compare import processor
from benchmarks.grown import listed_images
from benchmarks.measure import Cost, cost_of
from benchmarks.scale.prices import dollars_a_million, speed_here
from benchmarks.scale.steps import Step, measure_steps
from transforms.collection.manifest import read_manifest

WAYS = {"the first run": "refuse", "nothing new": "update", "one in a hundred new": "update"}
"""What is measured of each number of images, with its --existing."""
MODEL = ["--backbone", "MobileNetV2", "--weights", "random", "--layer", "block_6_project"]
"""Vectors of 64 numbers: with 1,280, ten million would be 51 GB."""
RECKONED = (10**6, 10**8, 10**10)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[300_000, 1_000_000, 3_000_000, 10_000_000])
    parser.add_argument("--output", default="docs/operate/scale.md")
    arguments = parser.parse_args()
    costs: dict[tuple[str, int], Cost] = {}
    with tempfile.TemporaryDirectory() as cache:
        for images in arguments.images:
            with tempfile.TemporaryDirectory() as folder:
                for way, cost in measure_runs(folder, images, cache):
                    costs[way, images] = cost
                    print(f"{images:,} {way}: {cost}", flush=True)
    steps = measure_steps()
    page = PAGE.format(
        machine=f"{os.cpu_count()} cores of {processor()}, {datetime.date.today().isoformat()}",
        runs="\n".join(run_rows(costs, arguments.images)),
        steps="\n".join(step_rows(steps)),
        reckoned="\n".join(reckoned_rows(steps)),
        dollars="\n".join(dollar_rows()),
    )
    pathlib.Path(arguments.output).write_text(page, encoding="utf-8")
    print(page)


def measure_runs(folder: str, images: int, cache: str) -> Iterator[tuple[str, Cost]]:
    """Run so many uris through all but the embedding; yield what each way costs."""
    uri_list, output = os.path.join(folder, "list.csv"), os.path.join(folder, "out")
    for way, existing in WAYS.items():
        new = images // 100 if way == "one in a hundred new" else 0
        uris = (f"https://images.example/photos/{i:010d}.jpg" for i in range(images + new))
        # None is kept: a process counts the memory of the one that starts it as its own peak.
        collections.deque(listed_images(uri_list, uris), maxlen=0)
        command = [sys.executable, "-m", "benchmarks.scale.unembedded", "--input", uri_list, "--output", output, *MODEL]
        cost = cost_of(
            [*command, "--version_column", "revision", "--existing", existing], {"EMBED_IMAGES_CACHE": cache}
        )
        embedded = images if existing == "refuse" else new
        counts, expected = read_manifest(output), {"inputs": images + new, "embedded": embedded}
        if not counts or not expected.items() <= counts["counts"].items():
            raise RuntimeError(f"{output} was to have {expected}, and has {counts and counts['counts']}")
        yield way, cost


def run_rows(costs: dict[tuple[str, int], Cost], images: Sequence[int]) -> Iterator[str]:
    """Yield the rows of the table of runs, with what each million more costs in the last one."""
    for (way, number), cost in sorted(costs.items(), key=lambda item: [*WAYS].index(item[0][0])):
        before = max((other for other in images if other < number), default=None)
        more = "|"
        if before:
            was, millions = costs[way, before], (number - before) / 1e6
            each = (cost.cpu_seconds - was.cpu_seconds, cost.peak_mb - was.peak_mb)
            more = " | ".join(f"{amount / millions:.0f}" for amount in each)
        yield f"| {way} | {number:,} | {cost.seconds:.0f} | {cost.cpu_seconds:.0f} | {cost.peak_mb:,.0f} | {more} |"


def step_rows(steps: Sequence[Step]) -> Iterator[str]:
    """Yield the rows of the table of steps: each one now, and as it was once."""
    for step in steps:
        yield f"| {step.name} | {step.per_unit * step.shown_for:.3g} {step.unit} | {step.shown} | {step.before} |"


def reckoned_rows(steps: Sequence[Step]) -> Iterator[str]:
    """Yield what each step comes to for numbers of images."""
    for step in steps:
        cells = (with_unit(step.per_image * images, step.unit) for images in RECKONED)
        yield f"| {step.name} | {' | '.join(cells)} |"


def with_unit(amount: float, unit: str) -> str:
    """Return seconds or MB in the unit that a person would name, other amounts as they are."""
    larger = {"s": [(3600, "h"), (60, "min")], "MB": [(1e6, "TB"), (1e3, "GB")]}.get(unit, [])
    for size, name in larger:
        if amount >= size:
            return f"{amount / size:,.3g} {name}"
    return f"{amount:,.0f} {unit}" if amount >= 100 else f"{amount:.2g} {unit}"


def dollar_rows() -> Iterator[str]:
    """Yield the prices of numbers of images, by backbone and machine."""
    for backbone in ("MobileNetV2", "ResNet50"):
        for machine, dollars in dollars_a_million(speed_here(backbone)).items():
            cells = (f"{dollars * images / 1e6:,.2f}" for images in RECKONED)
            yield f"| {backbone} | {machine} | {' | '.join(cells)} |"


PAGE = """# Scale

Fetching, decoding and embedding an image cost the same after ten images and after ten million. What grows is before and
after: reading uris, comparing them with what stands, planning files, committing. `python -m benchmarks.scale` measured
this page: {machine}.

## Whole runs, without the embedding

The command, one process, with stages that neither fetch, decode nor embed; uris from a CSV of five columns, vectors of
64 numbers. The last columns are what each million more costs.

| run | images | s | processor s | peak MB | processor s a million | MB a million |
|---|---|---|---|---|---|---|
{runs}

## Steps that one worker does alone

Any number of workers fetch, decode, embed and write. These steps wait for one. "Before" is the same in this project's
first version, where it was measured.

| step | now | for | before |
|---|---|---|---|
{steps}

Reckoned from these for jobs of many workers, with vectors of 1,280 numbers, files of 256 MiB and a part each 30 seconds
from processes that embed 300 images a second:

| step | a million | a hundred million | ten thousand million |
|---|---|---|---|
{reckoned}

What follows from it:

- Up to a hundred million images, no step that waits for one worker takes longer than some minutes, given a folder or
  Parquet. The types of a CSV or of JSON lines are found by reading it once at launch; beyond that, write Parquet, whose
  footer says them.
- An update holds 52 bytes for each known image in each process, and the version as text where storage has to be asked.
  A local run holds the copies that go from step to step, too: some 400 MB a million images more than a first run.
  Divide more images than memory holds among collections: one for each prefix or each year.
- Ten thousand million images are beyond what one collection is made for: its manifest is read whole by each reader.

## US dollars

List prices as in [the operator's manual](../../templates/README.md#what-it-costs), decoding and embedding at the speed
of this machine's cores, the speed of a GPU guessed; one read of Cloud Storage an image included. Nothing of it was paid
yet.

| backbone | machine | a million | a hundred million | ten thousand million |
|---|---|---|---|---|
{dollars}
"""

if __name__ == "__main__":
    main()
