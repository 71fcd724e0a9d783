"""Measure all backbones on this machine, and write docs/use/backbones.md.

python -m benchmarks.scale.backbones --output docs/use/backbones.md
"""

import argparse
import concurrent.futures
import datetime
import multiprocessing
import os
import pathlib
from collections.abc import Iterator, Mapping

from benchmarks.compare import processor
from benchmarks.scale.prices import dollars_a_million, speed_here
from pipelines.launch.dataflow.estimate import ALTERNATIVES
from pipelines.plan.run_stats import Speed
from transforms.backbones import catalog_rows


def main() -> None:
    """Measure each backbone in a process of its own, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="docs/use/backbones.md")
    arguments = parser.parse_args()
    speeds: dict[str, Speed] = {}
    spawned = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawned, max_tasks_per_child=1) as one:
        for name, speed in zip(catalog_rows(), one.map(speed_here, catalog_rows()), strict=True):
            speeds[name] = speed
            print(f"{name}: {rate(speed):.1f} img/s", flush=True)
    page = PAGE.format(
        machine=f"{os.cpu_count()} cores of {processor()}, {datetime.date.today().isoformat()}",
        machines=" | ".join(f"$ a million, {' with '.join(filter(None, machine))}" for machine in ALTERNATIVES),
        rules="---|" * len(ALTERNATIVES),
        rows="\n".join(rows(speeds)),
    )
    pathlib.Path(arguments.output).write_text(page, encoding="utf-8")


def rate(speed: Speed) -> float:
    """Return the images of 500 x 375 px that all cores of this machine decode and embed in a second."""
    return (os.cpu_count() or 1) / (speed.decode + speed.forward)


def best(speeds: Mapping[str, Speed]) -> set[str]:
    """Return the backbones than which none is both as fast and more accurate, or faster and as accurate."""
    points = {name: (rate(speed), catalog_rows()[name].top_1) for name, speed in speeds.items()}
    return {
        name
        for name, (fast, right) in points.items()
        if not any(a >= fast and b >= right and (a, b) != (fast, right) for a, b in points.values())
    }


def rows(speeds: Mapping[str, Speed]) -> Iterator[str]:
    """Yield the rows of the table, the fastest first."""
    front = best(speeds)
    for name, speed in sorted(speeds.items(), key=lambda item: -rate(item[1])):
        facts = catalog_rows()[name]
        dollars = " | ".join(f"{price:,.2f}" for price in dollars_a_million(speed).values())
        shown = f"**{name}**" if name in front else name
        yield (
            f"| {shown} | {facts.top_1} | {rate(speed):.3g} | {facts.side} | {facts.dim} | {facts.params / 1e6:.1f} "
            f"| {dollars} |"
        )


PAGE = """# Choosing a backbone

`--backbone` takes any of these 40. In bold: no other is both faster here and more accurate.

- **To begin with**: MobileNetV2, the default. It finds near-duplicates and look-alikes, at the speed of decoding.
- **Better vectors, still on processors**: one in bold from the middle of the table.
- **On a GPU**: EfficientNetV2 or ConvNeXt. A GPU pays where the forward pass costs much more than decoding.
- **What it costs to keep**: 4 bytes x width x images: for a million and a width of 1,280, 5.1 GB, with
  `--embedding_dtype float16` half of it.
- **What it is worth for you**: top-1 is the share of ImageNet's validation images that the whole network classifies
  rightly, as published. It says only roughly how good embeddings are. Embed a few hundred of your images with two or
  three backbones at once (`--backbone MobileNetV2,EfficientNetV2B0,ConvNeXtTiny`) and look at what
  [`similar-images`](similar.md) finds.

Images a second of 500 x 375 px, decoded and embedded at the default input size, with the engine that is fastest,
random weights: {machine}
(`python -m benchmarks.scale.backbones`). Each was measured once, so neighbours may swap places. Dollars are
[estimates](../operate/scale.md#us-dollars) for Dataflow, from the speed of this machine's cores; the speed of the GPU
is guessed.

| backbone | top-1, % | img/s | input, px | width | parameters, M | {machines} |
|---|---|---|---|---|---|{rules}
{rows}
"""

if __name__ == "__main__":
    main()
