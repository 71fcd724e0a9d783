"""The forward pass alone, on a batch in memory: the limit of this project's engine.

ENGINE and PRECISION in the environment choose the engine and its precision.
"""

import os
import time

import numpy as np

from benchmarks.ways import run
from transforms.backbones import Backbone, load_backbone
from transforms.decode import decode_image
from transforms.embed.batch_sizes import default_batch_size


def embed(paths: list[str], output: str, backbone: str) -> float:
    chosen = Backbone(
        backbone,
        weights=os.environ.get("WEIGHTS", "imagenet"),
        engine=os.environ.get("ENGINE", "tensorflow"),
        precision=os.environ.get("PRECISION", "float32"),
    )
    loaded = load_backbone(chosen)
    pixels = []
    for path in paths[: default_batch_size(chosen.size)]:
        with open(path, "rb") as f:
            pixels.append(decode_image(f.read(), [chosen.size])[1][chosen.size])
    batch = np.stack(pixels)
    loaded(batch)
    batches = max(len(paths) // len(batch), 1)
    started = time.monotonic()
    for _ in range(batches):
        loaded(batch)
    return batches * len(batch) / (time.monotonic() - started)


if __name__ == "__main__":
    run(embed)
