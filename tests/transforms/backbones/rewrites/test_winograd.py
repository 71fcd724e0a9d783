"""Convolutions of 3 x 3 by fewer multiplications: the same numbers, and only where it is faster."""

import numpy as np
import pytest

from transforms.backbones.graph.keras_applications import keras
from transforms.backbones.rewrites.fold import fold
from transforms.backbones.rewrites.winograd import WinogradConv2D, choose_tile, cook_toom, winograd


def convolved(height: int, width: int, channels: int = 64, filters: int = 128, **kwargs: object) -> "keras.Model":
    random = np.random.default_rng(0)
    inputs = keras.Input((height, width, channels))
    model = keras.Model(inputs, keras.layers.Conv2D(filters, **{"kernel_size": 3, **kwargs})(inputs))
    model.set_weights([random.standard_normal(w.shape) / 24 for w in model.get_weights()])
    return model


def by_winograd(model: "keras.Model") -> list[str]:
    return [layer.name for layer in model.layers if isinstance(layer, WinogradConv2D)]


@pytest.mark.parametrize(("height", "width"), [(7, 7), (14, 14), (3, 4), (9, 13), (24, 23), (6, 64)])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kwargs", [{}, {"use_bias": False}, {"activation": "relu"}], ids=["bias", "no_bias", "relu"])
def test_the_numbers_are_those_of_the_sum_of_products(
    height: int, width: int, padding: str, kwargs: dict[str, object]
) -> None:
    model = convolved(height, width, padding=padding, **kwargs)
    images = np.random.default_rng(1).standard_normal((2, height, width, 64)).astype(np.float32)
    zeros = 1 if padding == "same" else 0
    around = np.pad(images.astype(np.float64), [(0, 0), (zeros, zeros), (zeros, zeros), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3), axis=(1, 2))
    kernel, *bias = (weight.astype(np.float64) for weight in model.get_weights())
    expected = np.einsum("nhwcab,abck->nhwk", windows, kernel) + (bias[0] if bias else 0)
    if "activation" in kwargs:
        expected = np.maximum(expected, 0)
    faster = fold(model, faster=winograd).model
    assert by_winograd(faster)
    assert faster.output_shape == model.output_shape
    differences = faster(images).numpy() - expected
    _, *sides, _ = expected.shape
    rms, largest = (3e-5, 5e-4) if choose_tile(*sides) == 7 else (1e-5, 1e-4)
    assert np.sqrt(np.mean(differences**2)) < rms
    assert np.abs(differences).max() < largest


@pytest.mark.parametrize("tile", [4, 5, 6, 7])
def test_products_of_transforms_are_a_correlation(tile: int) -> None:
    of_image, of_kernel, of_result = cook_toom(tile)
    row, kernel = np.random.default_rng(tile).standard_normal((2, tile + 2))
    found = of_result @ ((of_kernel @ kernel[:3]) * (of_image @ row))
    np.testing.assert_allclose(found, np.correlate(row, kernel[:3], "valid"), atol=1e-10)


@pytest.mark.parametrize(
    ("height", "width", "tile"), [(28, 28, 7), (14, 14, 7), (7, 7, 4), (24, 24, 6), (10, 10, 5), (16, 16, 4), (2, 2, 4)]
)
def test_a_tile_takes_the_fewest_multiplications_of_four_or_more(height: int, width: int, tile: int) -> None:
    assert choose_tile(height, width) == tile


@pytest.mark.parametrize(
    "model",
    [
        convolved(8, 8, strides=2),
        convolved(8, 8, dilation_rate=2),
        convolved(8, 8, groups=2),
        convolved(8, 8, kernel_size=5),
        convolved(8, 8, kernel_size=(1, 3)),
        convolved(8, 8, channels=32),
        convolved(8, 8, filters=64),
        convolved(65, 8),
        convolved(8, 65),
    ],
    ids=["strides", "dilation", "groups", "5 x 5", "1 x 3", "few channels", "few filters", "high", "wide"],
)
def test_others_stay(model: "keras.Model") -> None:
    (convolution,) = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert winograd(convolution) is convolution
