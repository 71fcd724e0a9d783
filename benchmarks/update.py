"""Measure what an update costs when nothing, or little, is new.

python -m benchmarks.update --known 100000 300000 1000000 --output benchmarks/results

Known images are rows with made-up vectors, compared with a CSV that states versions, with a listed folder, and with a
CSV in which a column of every row has changed, so that all are written again. Then an update by a few new images of
500 x 375 px is measured beside a full run of the same images. Writes OUTPUT/update.md.
"""

import argparse
import datetime
import functools
import itertools
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence

from benchmarks.compare import processor
from benchmarks.grown import PHOTO, grow, link_images, list_images, write_image
from benchmarks.measure import Cost, cost_of
from transforms.collection.manifest import read_manifest

DIMS: Mapping[int, list[str]] = {64: ["--layer", "block_6_project"], 1280: []}
"""Flags of MobileNetV2 for vectors of these widths."""
LIST, RELABELLED, FOLDER = "a CSV", "a CSV whose labels all changed", "a folder"
INPUTS = (LIST, FOLDER, RELABELLED)
HEAD = "| | s | processor s | peak MB | load |\n|---|---|---|---|---|"


def main() -> None:
    """Measure, and write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--known", type=int, nargs="*", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--dim", type=int, choices=DIMS, nargs="+", default=[64])
    parser.add_argument("--inputs", choices=INPUTS, nargs="+", default=list(INPUTS))
    parser.add_argument(
        "--backbones", nargs="*", default=["MobileNetV2", "ResNet50"], help="of the runs with new images"
    )
    parser.add_argument("--images", type=int, default=10_000, help="known images beside a full run")
    parser.add_argument("--new", type=int, default=100, help="new ones among them")
    parser.add_argument("--engine", default="tensorflow")
    parser.add_argument("--output", default="benchmarks/results")
    arguments = parser.parse_args()
    day = datetime.date.today().isoformat()
    lines = [f"**Updates, {arguments.engine}, {os.cpu_count()} cores of {processor()}, {day}**", "", HEAD]
    with tempfile.TemporaryDirectory() as cache:
        run = functools.partial(embed_images, "MobileNetV2", arguments.engine, cache)
        for kind, dim, known in itertools.product(arguments.inputs, arguments.dim, arguments.known):
            with tempfile.TemporaryDirectory() as folder:
                cost = nothing_new(kind, folder, known, functools.partial(run, DIMS[dim]))
            lines.append(f"| {known:,} known in {kind}, {dim} wide | {figures(cost)} |")
            print(lines[-1], flush=True)
        for backbone in arguments.backbones:
            run = functools.partial(embed_images, backbone, arguments.engine, cache, [])
            with tempfile.TemporaryDirectory() as folder:
                update, full = few_new(folder, arguments.images, arguments.new, run)
            images = f"{arguments.images:,} known and {arguments.new:,} new photos"
            lines.append(f"| {images}, {backbone} | {figures(update)} |")
            ratios = (
                f"{full.seconds / update.seconds:.1f} times the seconds, {full.cpu_seconds / update.cpu_seconds:.1f}"
            )
            lines.append(f"| a full run of these: {ratios} times the processor seconds | {figures(full)} |")
            print("\n".join(lines[-2:]), flush=True)
    text = "\n".join([*lines, ""])
    print(text)
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    (output / "update.md").write_text(text)


def embed_images(
    backbone: str, engine: str, cache: str, model: list[str], images: str, output: str, flags: Sequence[str] = ()
) -> Cost:
    """Bring a collection in step with images, in a process of its own."""
    command = [sys.executable, "-m", "pipelines.command", "--input", images, "--output", output, "--existing", "update"]
    command += ["--backbone", backbone, "--weights", "random", "--engine", engine, *model, *flags]
    return cost_of(command, {"EMBED_IMAGES_CACHE": cache})


def nothing_new(kind: str, folder: str, known: int, run: Callable[..., Cost]) -> Cost:
    """Return what an update costs if nothing is to be embedded."""
    output, first = os.path.join(folder, "out"), os.path.join(folder, "first")
    alone = write_image(first, 0)
    # The first run, of one image, says of what spec and columns the rows are.
    if kind == FOLDER:
        one, images = first, os.path.join(folder, "images")
        sources = link_images(images, known)
    else:
        one, images = os.path.join(folder, "one.csv"), os.path.join(folder, "list.csv")
        list_images(one, [alone])
        uris = [f"https://images.example/photos/{i:08d}.jpg" for i in range(known)]
        sources = list_images(images, uris)
        run = functools.partial(run, flags=["--version_column", "revision"])
    run(one, output)
    grow(output, sources)
    if kind == RELABELLED:
        list_images(images, uris, "another label")
    cost = run(images, output)
    check(output, inputs=known, embedded=0, skipped=known)
    return cost


def few_new(folder: str, known: int, new: int, run: Callable[..., Cost]) -> tuple[Cost, Cost]:
    """Return what an update by a few new images costs, and what a full run of the same images does."""
    images, output, full, first = (os.path.join(folder, name) for name in ("images", "out", "full", "first"))
    write_image(first, 0)
    run(first, output)
    grow(output, link_images(images, known + new, PHOTO, links=100)[:known])
    update = run(images, output)
    check(output, inputs=known + new, embedded=new, skipped=known)
    whole = run(images, full)
    check(full, inputs=known + new, embedded=known + new, skipped=0)
    return update, whole


def check(output: str, **counts: int) -> None:
    """Raise if a run's counts are others than these."""
    manifest = read_manifest(output)
    found = manifest["counts"] if manifest else None
    if found != {**counts, "failed": 0, "duplicates": 0}:
        raise RuntimeError(f"{output} was to have {counts}, and has {found}")


def figures(cost: Cost) -> str:
    """Return what a command cost as cells of a table."""
    return f"{cost.seconds:.1f} | {cost.cpu_seconds:.1f} | {cost.peak_mb:.0f} | {cost.load:.1f}"


if __name__ == "__main__":
    main()
