"""Measure what precisions other than float32 gain and cost: the forward pass alone, and how far embeddings move.

python -m benchmarks.precision --photos DIR --backbone MobileNetV2 --runs 3

Prints a Markdown table; a precision that this machine refuses is left out, with the reason.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow.parquet as pq

from benchmarks.compare import gather
from benchmarks.measure import measure
from transforms.backbones.engines import ENGINES
from transforms.core.spec import PRECISIONS


def main() -> None:
    """Embed the photos in each precision that each engine takes, then time their forward passes in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", help="folder of images; default: generated JPEGs")
    parser.add_argument("--images", type=int, default=1000, help="images in a timed forward pass, and generated JPEGs")
    parser.add_argument("--backbone", default="MobileNetV2")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EMBED_IMAGES_CACHE"] = os.path.join(folder, "cache")
        timed = os.path.join(folder, "photos")
        gather(arguments.photos, timed, arguments.images)
        vectors = {}
        for engine in ENGINES:
            for precision in PRECISIONS:
                output = os.path.join(folder, engine, precision)
                found = embed(arguments.photos or timed, output, arguments.backbone, engine, precision)
                if found is not None:
                    vectors[engine, precision] = found
        speeds: dict[tuple[str, str], list[float]] = {way: [] for way in vectors}
        for _ in range(arguments.runs):
            for engine, precision in vectors:
                environment = {"ENGINE": engine, "PRECISION": precision}
                measured = measure("forward_alone", timed, arguments.backbone, environment, memory=False)
                speeds[engine, precision].append(measured.steady)
    print("| engine | precision | img/s | x float32 | cosine, mean | cosine, worst | other neighbours |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for (engine, precision), found in vectors.items():
        exact = vectors[engine, "float32"]
        cosines = (unit(found) * unit(exact)).sum(axis=1)
        pairs = zip(speeds[engine, precision], speeds[engine, "float32"], strict=True)
        gain = statistics.median(one / other for one, other in pairs)
        moved = f"{cosines.mean():.4f} | {cosines.min():.4f} | {(neighbours(found) != neighbours(exact)).sum()}"
        rate = statistics.median(speeds[engine, precision])
        print(f"| {engine} | {precision} | {rate:.0f} | {gain:.2f} | {moved} of {len(found)} |")


def embed(photos: str, output: str, backbone: str, engine: str, precision: str) -> np.ndarray | None:
    """Embed photos with the command: float32 [N, D] in the order of their uris, None if it refuses the precision."""
    flags = ["--engine", engine, "--precision", precision, "--weights", os.environ.get("WEIGHTS", "imagenet")]
    command = [sys.executable, "-m", "pipelines.command", "--input", photos, "--output", output]
    done = subprocess.run([*command, "--backbone", backbone, *flags], capture_output=True, text=True)
    if done.returncode == 2:
        print(f"{engine}, {precision}: {done.stderr.strip()}\n")
        return None
    done.check_returncode()
    table = pq.read_table([str(path) for path in sorted(pathlib.Path(output).rglob("*.parquet"))]).sort_by("uri")
    return np.stack(table["embedding"].to_numpy())


def unit(vectors: np.ndarray) -> np.ndarray:
    """Divide vectors by their lengths: float32 [N, D] -> float64 [N, D]."""
    exact = vectors.astype(np.float64)
    return exact / np.linalg.norm(exact, axis=1, keepdims=True)


def neighbours(vectors: np.ndarray) -> np.ndarray:
    """Return the index of the nearest other vector of each, by cosine: float32 [N, D] -> int [N]."""
    cosines = unit(vectors) @ unit(vectors).T
    np.fill_diagonal(cosines, -np.inf)
    return cosines.argmax(axis=1)


if __name__ == "__main__":
    main()
