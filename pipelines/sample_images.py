"""Make sample images to try the command on: smooth random pictures with the detail and the size of photos.

python -m pipelines.sample_images FOLDER [COUNT]
"""

import argparse
import os

import numpy as np
import PIL.Image

from pipelines.options.arguments import a_count

WIDTH, HEIGHT = 500, 375
"""Pixels of a sample, the usual size of a photo on the web and in ImageNet."""


def sample_pixels(seed: int, width: int = WIDTH, height: int = HEIGHT, grain: float = 16) -> np.ndarray:
    """Make a picture, a different one for each seed: uint8 [height, width, 3]; `grain` is the noise's deviation."""
    random = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for cells in (3, 9, 27, 81):
        coarse = random.standard_normal((cells + 1, cells + 1, 3)).astype(np.float32)
        picture += _stretched(coarse, height, width) / cells**0.7
    noise = grain * random.standard_normal((height, width, 3)).astype(np.float32)
    pixels: np.ndarray = np.clip(128 + 90 * picture + noise, 0, 255).astype(np.uint8)
    return pixels


def _stretched(coarse: np.ndarray, height: int, width: int) -> np.ndarray:
    for axis, length in enumerate((height, width)):
        at = np.linspace(0, coarse.shape[axis] - 1.001, length)
        low = at.astype(int)
        part = (at - low).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
        coarse = np.take(coarse, low, axis) * (1 - part) + np.take(coarse, low + 1, axis) * part
    return coarse


def write_sample_images(folder: str, images: int, height: int = HEIGHT, width: int = WIDTH) -> None:
    """Make a folder, and write JPEGs 000000.jpg, 000001.jpg, ... into it, of about 90 kB in the usual size."""
    os.makedirs(folder, exist_ok=True)
    for i in range(images):
        PIL.Image.fromarray(sample_pixels(i, width, height)).save(os.path.join(folder, f"{i:06d}.jpg"), quality=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("count", type=a_count, nargs="?", default=32)
    arguments = parser.parse_args()
    write_sample_images(arguments.folder, arguments.count)
