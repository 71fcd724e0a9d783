"""Max pooling with zeros around the image: the numbers of padding and pooling one after the other."""

import numpy as np
import pytest

from transforms.backbones.graph.keras_applications import keras
from transforms.backbones.rewrites.max_pooling import PaddedMaxPooling2D


def by_hand(images: np.ndarray, zeros: object, size: tuple[int, int], strides: tuple[int, int]) -> np.ndarray:
    around = np.pad(images, [(0, 0), *zeros, (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(around, size, axis=(1, 2))
    return windows[:, :: strides[0], :: strides[1]].max(axis=(-2, -1))


@pytest.mark.parametrize(
    ("zeros", "size", "strides"),
    [
        (((1, 1), (1, 1)), (3, 3), (2, 2)),
        (((0, 1), (2, 0)), (3, 3), (1, 1)),
        (((1, 1), (2, 1)), (2, 4), (2, 3)),
        (((0, 0), (0, 0)), (2, 2), (2, 2)),
    ],
    ids=["resnet", "uneven", "oblong", "none"],
)
def test_the_numbers_are_those_of_padding_and_then_pooling(
    zeros: object, size: tuple[int, int], strides: tuple[int, int]
) -> None:
    images = np.random.default_rng(0).uniform(0, 1, (2, 9, 8, 3)).astype(np.float32)
    pooling = keras.layers.MaxPooling2D(size, strides, name="pool")
    layer = PaddedMaxPooling2D(keras.layers.ZeroPadding2D(zeros), pooling)
    assert layer.name == "pool"
    np.testing.assert_array_equal(layer(images), by_hand(images, zeros, size, strides))


def test_it_has_no_weights_and_takes_its_place_in_a_model() -> None:
    inputs = keras.Input((9, 8, 3))
    layer = PaddedMaxPooling2D(keras.layers.ZeroPadding2D(1), keras.layers.MaxPooling2D(3, 2, name="pool"))
    model = keras.Model(inputs, layer(inputs))
    assert (model.output_shape, model.count_params()) == ((None, 5, 4, 3), 0)
