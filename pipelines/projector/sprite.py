"""The sprite image: a picture of each point, side by side in one, which the projector draws where the point is."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import PIL.Image

from pipelines.options.settings import Limits
from pipelines.similar.thumbnails import QUALITY, pixels_of
from transforms import EmbeddingSpec
from transforms.core.elements import Size
from transforms.core.errors import ImageError

LARGEST = 8192
"""Maximum side of the sprite image, in px: the projector refuses a larger one."""
SIDE = 64
"""Side of a picture in it, in px, unless so many points have to do with less."""
GREY = 224
"""Beside a picture that is not square, and for one that cannot be had."""


class Sprite(NamedTuple):
    """A sprite image.

    Attributes:
      pixels: uint8 [H, H, 3], H a multiple of `side`; the pictures stand row by row, as many in each as there are rows:
        the projector mistakes the one number for the other.
      side: side of each picture, in px: the projector draws squares.
      lacks: how many images could not be had, by the reason.
    """

    pixels: np.ndarray
    side: int
    lacks: Counter[str]

    def write(self, path: str) -> None:
        """Write it to a new local file, as JPEG: a PNG of photos is several times as large."""
        PIL.Image.fromarray(self.pixels).save(path, "JPEG", quality=QUALITY)


def sprite_of(uris: Sequence[str], limits: Limits, spec: EmbeddingSpec) -> Sprite:
    """Fetch images and put them side by side, as the backbone sees them.

    Args:
      uris: the images, 100,000 at most.
      limits: what bounds their fetch and their decoding.
      spec: what says how they are cut.
    """
    columns, side = grid_of(len(uris))
    height, width = size = _within(side, spec.image_size)
    top, left = (side - height) // 2, (side - width) // 2
    pixels = np.full((columns * side, columns * side, 3), GREY, np.uint8)
    lacks: Counter[str] = Counter()
    for i, picture in enumerate(pixels_of(uris, limits, spec, size)):
        if isinstance(picture, ImageError):
            lacks[picture.reason] += 1
            continue
        y, x = i // columns * side + top, i % columns * side + left
        pixels[y : y + height, x : x + width] = picture
    return Sprite(pixels, side, lacks)


def grid_of(points: int) -> tuple[int, int]:
    """Return the number of rows, and of columns, for so many pictures, and the side of each in px."""
    columns = math.isqrt(points - 1) + 1
    return columns, min(SIDE, LARGEST // columns)


def _within(side: int, size: Size) -> Size:
    """Return the largest height and width within a square, in the ratio of another size."""
    height, width = (max(side * one // max(size), 1) for one in size)
    return height, width
