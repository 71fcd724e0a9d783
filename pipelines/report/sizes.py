"""Sizes and formats of a collection's images, all of them."""

import collections
from typing import NamedTuple

import numpy as np

from pipelines.similar.collection import Collection, reading
from transforms.core.elements import Size
from transforms.decode.resizing import scaled_to

QUANTILES = {"smallest": 0, "5 %": 5, "median": 50, "95 %": 95, "largest": 100}
"""Percent of the images that are not larger."""


class Format(NamedTuple):
    """A format, how many images have it, and their share of all."""

    name: str
    images: int
    share: float


class Quantile(NamedTuple):
    """The width and the height, in px, and the megapixels that a share of the images do not exceed."""

    name: str
    width: int
    height: int
    megapixels: float


class Sizes(NamedTuple):
    """What is told of sizes and formats.

    Attributes:
      formats: the formats, the most frequent first.
      quantiles: of width, height and megapixels, each for itself.
      enlarged: number of images with a side below the size that images are scaled to.
      sides: number of images by their shorter side in px, as (least, below, number).
      scaled_to: that size, height and width in px.
    """

    formats: list[Format]
    quantiles: list[Quantile]
    enlarged: int
    sides: list[tuple[int, int, int]]
    scaled_to: Size


def sizes_of(collection: Collection) -> Sizes:
    """Read the sizes and formats of a collection.

    Raises:
      RunError: a file cannot be read.
    """
    formats: collections.Counter[str] = collections.Counter()
    sides: list[np.ndarray] = []
    for path, _ in collection.files:
        with reading(path):
            for facts in collection.read.format.facts(path):
                formats.update(one.format for one in facts)
                sides.append(np.array([(one.width, one.height) for one in facts], np.int64).reshape(-1, 2))
    spec = collection.spec
    return measured(formats, np.concatenate(sides), scaled_to(spec.image_size, spec.central_fraction))


def measured(formats: collections.Counter[str], sides: np.ndarray, scaled: Size) -> Sizes:
    """Sum up sizes and formats.

    Args:
      formats: number of images by format.
      sides: width and height of each image in px, int64 [N, 2].
      scaled: height and width that images are scaled to, in px.
    """
    width, height, megapixels = sides[:, 0], sides[:, 1], sides.prod(axis=1) / 1e6
    # Of equal width on a scale of powers of 2, since sides range from icons to scans.
    edges = np.unique(np.geomspace(1, max(int(sides.min(axis=1).max()), 2) + 1, 33).round().astype(np.int64))
    numbers, _ = np.histogram(sides.min(axis=1), edges)
    return Sizes(
        [Format(name, count, count / len(sides)) for name, count in formats.most_common()],
        [Quantile(name, int(_at(width, q)), int(_at(height, q)), _at(megapixels, q)) for name, q in QUANTILES.items()],
        int((sides < (scaled[1], scaled[0])).any(axis=1).sum()),
        [(int(a), int(b), int(n)) for a, b, n in zip(edges[:-1], edges[1:], numbers, strict=True) if n],
        scaled,
    )


def _at(values: np.ndarray, percent: float) -> float:
    return float(np.percentile(values, percent, method="nearest"))
