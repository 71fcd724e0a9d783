"""What is cut out of the middle is what Pillow cuts out of the whole image, once it has scaled that."""

import math

import numpy as np
import PIL.Image
from hypothesis import assume, example, given
from hypothesis import strategies as st
from PIL import ImageOps
from PIL.Image import Resampling

from transforms.core.spec import LEAST_FRACTION, RESIZE_FILTERS
from transforms.decode.resizing import resized

FILTERS = dict(zip(RESIZE_FILTERS, (Resampling(n) for n in (2, 0, 3, 1, 4)), strict=True))
SMOOTH = ("bilinear", "bicubic", "lanczos")
"""Filters whose weights have no steps: a coordinate that is off by a rounding changes a value by one."""
SIDES = st.integers(1, 400)
SIZES = st.tuples(st.integers(1, 80), st.integers(1, 80))
FRACTIONS = st.sampled_from([0.875, 0.9, 0.95, 0.965]) | st.floats(LEAST_FRACTION, 1, exclude_max=True)


def noise(width: int, height: int, mode: str = "RGB") -> PIL.Image.Image:
    pixels = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)
    return PIL.Image.fromarray(pixels).convert(mode)


def whole_size(width: int, height: int, size: tuple[int, int], fraction: float) -> tuple[int, int]:
    """Return the width and height at which an image covers a size, divided by the fraction, as `Resize` does it."""
    least_height, least_width = (math.floor(side / fraction) for side in size)
    if width / height >= least_width / least_height:
        return int(least_height * width / height), least_height
    return least_width, int(least_width * height / width)


def middle_of_whole(image: PIL.Image.Image, size: tuple[int, int], name: str, fraction: float) -> np.ndarray:
    """Resize all of an image, then cut out the middle, in two steps as `Resize` and `CenterCrop` of torchvision."""
    whole = whole_size(*image.size, size, fraction)
    left, top = (round((a - b) / 2) for a, b in zip(whole, size[::-1], strict=True))
    scaled = image.resize(whole, FILTERS[name])
    return np.asarray(scaled.crop((left, top, left + size[1], top + size[0])), int)


@given(SIDES, SIDES, SIZES, FRACTIONS, st.sampled_from(SMOOTH), st.sampled_from(["RGB", "L"]))
@example(500, 375, (224, 224), 0.875, "bilinear", "RGB")
@example(333, 500, (224, 224), 0.9, "bicubic", "RGB")
@example(644, 480, (299, 299), 0.875, "lanczos", "RGB")
@example(30, 20, (48, 64), 0.95, "bicubic", "L")
def test_a_smooth_filter_gives_the_middle_of_the_whole_to_rounding(
    width: int, height: int, size: tuple[int, int], fraction: float, name: str, mode: str
) -> None:
    assume(math.prod(whole_size(width, height, size, fraction)) < 2_000_000)
    image = noise(width, height, mode)
    expected = middle_of_whole(image, size, name, fraction)
    expected = expected if mode == "RGB" else np.repeat(expected[..., None], 3, axis=2)
    assert np.abs(resized(image, size, "crop", name, fraction) - expected).max() <= 2


@given(st.integers(40, 400), st.integers(40, 400), SIZES, FRACTIONS, st.sampled_from(["nearest", "area"]))
@example(256, 256, (224, 224), 0.965, "nearest")
@example(500, 375, (224, 224), 0.875, "area")
def test_nearest_and_area_do_but_where_two_pixels_are_equally_near(
    width: int, height: int, size: tuple[int, int], fraction: float, name: str
) -> None:
    """Their weights have steps, and on a step a rounding decides: by a pixel, which is a level or two of a ramp."""
    assume(math.prod(whole_size(width, height, size, fraction)) < 2_000_000)
    rows, columns = np.mgrid[:height, :width]
    ramps = np.stack([rows * 255 / height, columns * 255 / width, (rows + columns) % 2 * 4], axis=2)
    image = PIL.Image.fromarray(ramps.astype(np.uint8))
    difference = np.abs(resized(image, size, "crop", name, fraction) - middle_of_whole(image, size, name, fraction))
    assert difference[..., :2].max() <= math.ceil(255 / min(width, height)) + 1
    assert difference[..., 2].max() <= 4


@given(SIDES, SIDES, SIZES, st.sampled_from(RESIZE_FILTERS))
def test_without_a_fraction_an_image_is_fitted_as_it_always_was(
    width: int, height: int, size: tuple[int, int], name: str
) -> None:
    image = noise(width, height)
    expected = np.asarray(ImageOps.fit(image, size[::-1], FILTERS[name]))
    np.testing.assert_array_equal(resized(image, size, "crop", name, 1.0), expected)
    np.testing.assert_array_equal(resized(image, size, "crop", name), expected)
