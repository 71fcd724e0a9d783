"""The ways to embed images that are compared, each a program: the same photos, backbone and weights.

python -m benchmarks.ways.NAME PHOTOS OUTPUT BACKBONE

Each prints one line of JSON: its images, and the images per second from the end of its first batch to that of its last.
"""

import argparse
import glob
import importlib.abc
import json
import os
import sys
import time
from collections.abc import Callable

SIDE = 224
BATCH = 32


class NotInstalled(importlib.abc.MetaPathFinder):
    """Hide the libraries that only the chart and Ray Data need: Keras and Beam import them if they are installed.

    That takes a second or two, for which their users need not wait. NEEDS in the environment names exceptions.
    """

    libraries = {"matplotlib", "pandas"} - set(os.environ.get("NEEDS", "").split())

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self.libraries:
            raise ModuleNotFoundError(f"{name} is not for this way", name=name)


sys.meta_path.insert(0, NotInstalled())


class Clock:
    """Measures the rate of batches by their ends."""

    def __init__(self) -> None:
        self._batches: list[tuple[float, int]] = []

    def batch(self, images: int) -> None:
        """Record that a batch of this many images has just ended."""
        self._batches.append((time.time(), images))

    def rate(self) -> float:
        """Return the images per second from the end of the first batch to that of the last."""
        if len(self._batches) < 2:
            return 0.0
        seconds = self._batches[-1][0] - self._batches[0][0]
        return sum(images for _, images in self._batches[1:]) / seconds


def run(embed: Callable[[list[str], str, str], float]) -> None:
    """Run a way from the command line: (paths, output folder, backbone) -> steady images per second."""
    parser = argparse.ArgumentParser()
    for name in ("photos", "output", "backbone"):
        parser.add_argument(name)
    arguments = parser.parse_args()
    paths = sorted(glob.glob(os.path.join(glob.escape(arguments.photos), "*")))
    os.makedirs(arguments.output, exist_ok=True)
    steady = embed(paths, arguments.output, arguments.backbone)
    print(json.dumps({"images": len(paths), "steady": steady}))
