"""Each filter is the one of its name, each way of resizing keeps what it promises."""

import cv2
import numpy as np
import PIL.Image
import pytest

from tests.conftest import sample_image
from transforms.core.spec import LEAST_FRACTION, RESIZE_FILTERS, RESIZES
from transforms.decode.resizing import resized

NOISE = PIL.Image.fromarray(np.random.RandomState(0).randint(0, 256, (96, 128, 3)).astype(np.uint8))


def kernel(name: str, x: np.ndarray) -> np.ndarray:
    """The filters as they are defined, with a = -0.5 for bicubic (Keys) and three lobes for Lanczos."""
    x = np.abs(x)
    if name == "area":
        return (x <= 0.5).astype(float)
    if name == "bilinear":
        return np.clip(1 - x, 0, None)
    if name == "bicubic":
        near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        return np.where(x < 1, near, np.where(x < 2, far, 0))
    return np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0)


def weights(name: str, source: int, target: int) -> np.ndarray:
    """Return the share of each source pixel in each target pixel: float [target, source]."""
    scale = source / target
    centres = (np.arange(target) + 0.5) * scale
    shares = kernel(name, (np.arange(source) + 0.5 - centres[:, None]) / max(scale, 1))
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", sorted(set(RESIZE_FILTERS) - {"nearest"}))
def test_a_filter_weighs_pixels_as_it_is_defined(name: str) -> None:
    """A model trained with bicubic sees other pictures than one trained with bilinear."""
    values = np.asarray(NOISE, float)
    rows, columns = weights(name, 96, 24), weights(name, 128, 32)
    expected = np.clip(np.einsum("th,hwc,uw->tuc", rows, values, columns), 0, 255)
    assert np.abs(resized(NOISE, (24, 32), "stretch", name) - expected).max() < 2.5


def test_nearest_and_area_are_those_of_opencv() -> None:
    for name, method in (("nearest", cv2.INTER_NEAREST_EXACT), ("area", cv2.INTER_AREA)):
        expected = cv2.resize(np.asarray(NOISE), (32, 24), interpolation=method).astype(int)
        assert np.abs(resized(NOISE, (24, 32), "stretch", name) - expected).max() <= 1, name


@pytest.mark.parametrize("name", RESIZE_FILTERS)
@pytest.mark.parametrize("resize", RESIZES)
def test_grey_gives_what_its_rgb_gives(name: str, resize: str) -> None:
    grey = sample_image(1).convert("L")
    np.testing.assert_array_equal(
        resized(grey, (20, 30), resize, name), resized(grey.convert("RGB"), (20, 30), resize, name)
    )


@pytest.mark.parametrize("size", [(30000, 2), (2, 30000), (1, 1), (3, 1000)])
@pytest.mark.parametrize("resize", RESIZES)
def test_the_longest_images_have_a_size(size: tuple[int, int], resize: str) -> None:
    """Padding an image of 30000 x 2 failed, since it had no rows left (3d)."""
    pixels = resized(PIL.Image.new("RGB", size, "red"), (224, 224), resize, "bilinear")
    assert (pixels.shape, pixels.dtype) == ((224, 224, 3), np.uint8)
    assert (pixels == (255, 0, 0)).all(axis=2).any()


@pytest.mark.parametrize("fraction", [0.99, 0.875, LEAST_FRACTION])
@pytest.mark.parametrize("size", [(30000, 2), (2, 30000), (1, 1), (3, 1000)])
def test_the_longest_images_have_a_middle(size: tuple[int, int], fraction: float) -> None:
    pixels = resized(PIL.Image.new("RGB", size, "red"), (224, 224), "crop", "bicubic", fraction)
    assert pixels.shape == (224, 224, 3)
    assert (pixels == (255, 0, 0)).all()


def test_the_middle_is_cut_out_at_full_scale() -> None:
    """Of the 256 x 344 px that 256 / 344 is at 224 / 0.875, without any resize: the very pixels."""
    image = sample_image(4, 344, 256)
    for name in RESIZE_FILTERS:
        found = resized(image, (224, 224), "crop", name, 0.875)
        np.testing.assert_array_equal(found, np.asarray(image)[16:240, 60:284])


def test_padding_is_even_on_both_sides() -> None:
    pixels = resized(PIL.Image.new("RGB", (100, 50), "red"), (60, 60), "pad", "bilinear")
    red = (pixels == (255, 0, 0)).all(axis=2).any(axis=1)
    assert (red.sum(), red[:15].any(), red[45:].any()) == (30, False, False)
