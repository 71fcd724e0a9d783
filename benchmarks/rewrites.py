"""Measure what each rewrite of a model gains: images per second of the forward pass, start, memory, size of the graph.

python -m benchmarks.rewrites --backbones MobileNetV2 ResNet50 --images 256 --runs 3

Each rewrite is measured alone, to compare with the model as Keras built it, and left out, to compare with all of them.
Prints a Markdown table of medians; every number is from a process of its own, and the ways alternate.
"""

import argparse
import contextlib
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np

REWRITES = ("fold", "max_pooling", "winograd", "variables")
WAYS = {
    "none": (),
    **{f"{name} alone": (name,) for name in REWRITES},
    **{f"all but {name}": tuple(other for other in REWRITES if other != name) for name in REWRITES},
    "all": REWRITES,
}
"""The rewrites that each way applies, by its name."""


def main() -> None:
    """Measure each way on each backbone and engine, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", default=["MobileNetV2", "ResNet50"])
    parser.add_argument("--engines", nargs="+", default=["tensorflow", "openvino"])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print("| backbone | engine | rewrites | img/s | start, s | graph, MB | peak, MB |")
    print("|---|---|---|---|---|---|---|")
    for backbone in arguments.backbones:
        for engine in arguments.engines:
            measured: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            for _ in range(arguments.runs):
                for way in WAYS:
                    measured[way].append(_in_a_process(backbone, engine, way, arguments.images))
            for way, runs in measured.items():
                rate, start, graph, peak = (
                    statistics.median(run[what] for run in runs) for what in ("rate", "start", "graph", "peak")
                )
                print(
                    f"| {backbone} | {engine} | {way} | {rate:.1f} | {start:.2f} | {graph:.0f} | {peak:.0f} |",
                    flush=True,
                )


def _in_a_process(backbone: str, engine: str, way: str, images: int) -> dict[str, float]:
    code = f"from benchmarks.rewrites import measure; measure({backbone!r}, {engine!r}, {way!r}, {images})"
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(backbone: str, engine: str, way: str, images: int) -> None:
    """Build, save, open and run a graph with some of the rewrites, and print one line of JSON."""
    from transforms.backbones import Backbone
    from transforms.backbones.engines import open_engine, prepare_engine
    from transforms.backbones.graph.graph import build_graph
    from transforms.storage.hashing import size_of_files

    chosen = Backbone(backbone, weights=os.environ.get("WEIGHTS", "random"), engine=engine)
    prepare_engine(engine, chosen.precision)
    with tempfile.TemporaryDirectory() as folder, only(WAYS[way]):
        path = os.path.join(folder, "graph")
        started = time.monotonic()
        build_graph(chosen).save(path)
        num_bytes = size_of_files(path)
        run = open_engine(engine, path, chosen.precision)
        batch = np.random.default_rng(0).integers(0, 256, (64, *chosen.size, 3), np.uint8)
        run(batch)
        start = time.monotonic() - started
        started = time.monotonic()
        for _ in range(max(images // len(batch), 1)):
            run(batch)
        seconds = time.monotonic() - started
    rate = max(images // len(batch), 1) * len(batch) / seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps({"rate": rate, "start": start, "graph": num_bytes / 1e6, "peak": peak}))


@contextlib.contextmanager
def only(names: tuple[str, ...]) -> Iterator[None]:
    """Turn off the rewrites that are not named; the command has one switch for all of them."""
    from transforms.backbones import rewrites
    from transforms.backbones.graph import model

    # The attribute `rewrites.fold` is the function, not the module.
    fold = importlib.import_module("transforms.backbones.rewrites.fold")

    def as_it_is(whole: Any) -> tuple[Any, Any]:
        return lambda x: whole(x, training=False), [weight.value for weight in whole.weights]

    no, nothing = (lambda *_: False), (lambda: contextlib.nullcontext())
    off: dict[str, list[tuple[Any, str, Any]]] = {
        "fold": [
            (fold, "_foldable", no),
            (fold, "_is_same", no),
            (fold, "_affine", lambda _: (np.eye(3), np.zeros(3, np.float32))),
        ],
        "max_pooling": [(fold, "_is_pooled", no)],
        "winograd": [(rewrites, "winograd", lambda layer: layer)],
        "variables": [
            (rewrites, "with_constants", as_it_is),
            (rewrites, "of_one_name", nothing),
            (model, "of_one_name", nothing),
        ],
    }
    with contextlib.ExitStack() as patched:
        for name, patches in off.items():
            if name not in names:
                for where, attribute, instead in patches:
                    patched.enter_context(mock.patch.object(where, attribute, instead))
        yield


if __name__ == "__main__":
    main()
