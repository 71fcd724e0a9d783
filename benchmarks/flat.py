"""Measure what a run costs as it grows: peak memory and images a second, for few images and for many.

python -m benchmarks.flat --photos DIR --images 1000 20000
"""

import argparse
import os
import shutil
import tempfile

from benchmarks.compare import gather
from benchmarks.measure import measure


def main() -> None:
    """Measure each size once, from a kept graph, and print a Markdown table with the ratios to the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", help="folder of images, repeated; default: generated JPEGs")
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 20_000])
    parser.add_argument("--backbone", default="MobileNetV2")
    parser.add_argument("--engine", default="tensorflow")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {"ENGINE": arguments.engine, "EMBED_IMAGES_CACHE": os.path.join(folder, "cache")}
        results = []
        # Building the graph takes memory too, and weighs more in a short run: an extra first run fills the cache.
        for run, images in enumerate([arguments.images[0], *arguments.images]):
            photos = os.path.join(folder, str(run))
            gather(arguments.photos, photos, images)
            results.append(measure("this_project", photos, arguments.backbone, environment, memory=True))
            shutil.rmtree(photos)
    print("| images | img/s, steady | peak MB | x img/s | x peak |\n|---|---|---|---|---|")
    first = results[1]
    for images, measured in zip(arguments.images, results[1:], strict=True):
        ratios = f"{measured.steady / first.steady:.2f} | {measured.peak_mb / first.peak_mb:.2f}"
        print(f"| {images:,} | {measured.steady:.1f} | {measured.peak_mb:.0f} | {ratios} |")


if __name__ == "__main__":
    main()
