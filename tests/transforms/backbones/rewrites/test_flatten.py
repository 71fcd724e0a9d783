"""Models in models, on one level: the same numbers, without what is for training, with the rescaling apart."""

from collections.abc import Callable

import keras
import numpy as np
import pytest

from transforms.backbones.rewrites.flatten import flat

layers = keras.layers
SIDE = 16
IMAGES = np.random.default_rng(0).uniform(0, 255, (3, SIDE, SIDE, 3)).astype(np.float32)


def block(width: int) -> keras.Model:
    x = keras.Input((None, None, 3))
    return keras.Model(x, layers.BatchNormalization()(layers.Conv2D(width, 3, name="conv")(x)))


def nested() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 127.5, -1)(layers.RandomFlip()(image))
    inner = keras.Sequential([block(3), layers.Dropout(0.5), block(4)])
    return keras.Model(image, layers.GlobalAveragePooling2D()(inner(x)))


def by_operations() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    return keras.Model(image, block(2)(image / 127.5 - 1.0))


def shared() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    one = block(3)
    return keras.Model(image, one(one(layers.Rescaling(0.01)(image))))


def read_twice() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    return keras.Model(image, layers.Concatenate()([layers.Rescaling(0.01)(image), image]))


def branched() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(0.01)(image)
    return keras.Model(image, layers.Add()([block(2)(x), block(2)(x)]))


def scaled_by_another_tensor() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    return keras.Model(image, image / keras.ops.max(image))


def cropped() -> keras.Model:
    """Only this layer of those for augmentation does something at inference, too."""
    image = keras.Input((SIDE, SIDE, 3))
    return keras.Model(image, layers.RandomCrop(8, 8)(layers.RandomFlip()(image)))


def normalized_by_place() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    means = np.random.default_rng(1).uniform(0, 9, (SIDE, SIDE, 3))
    return keras.Model(image, layers.Normalization(axis=(1, 2, 3), mean=means, variance=means + 1)(image))


def called_by_keyword() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    rows = layers.Reshape((-1, 3))(layers.Dropout(0.5)(inputs=image))
    return keras.Model(image, layers.MultiHeadAttention(1, 2)(query=rows, value=rows))


@pytest.mark.parametrize(
    ("build", "rescales"),
    [
        (nested, True),
        (by_operations, True),
        (shared, True),
        (read_twice, False),
        (branched, True),
        (scaled_by_another_tensor, False),
        (cropped, False),
        (normalized_by_place, False),
        (called_by_keyword, False),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_numbers_are_those_of_the_model(build: Callable[[], keras.Model], rescales: bool) -> None:
    keras.utils.set_random_seed(1)
    model = build()
    for weight in model.weights:
        weight.assign(np.random.default_rng(2).uniform(0.5, 1.5, weight.shape))
    found, preprocess = flat(model, (SIDE, SIDE))
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(found.predict(np.asarray(preprocess(IMAGES)), verbose=0), expected, rtol=1e-4, atol=1e-4)
    assert np.array_equal(preprocess(IMAGES), IMAGES) is not rescales


def test_all_layers_are_on_one_level_and_those_for_training_gone() -> None:
    found, _ = flat(nested(), (SIDE, SIDE))
    kinds = [type(layer).__name__ for layer in found.layers]
    assert kinds.count("Conv2D") == kinds.count("BatchNormalization") == 2
    assert not {"Functional", "Sequential", "Dropout", "RandomFlip", "Rescaling"} & {*kinds}
    assert {layer.name for layer in found.layers} >= {"conv", "conv_in_2"}


def test_a_model_of_any_size_gets_the_one_that_is_asked_for() -> None:
    found, _ = flat(block(2), (24, 40))
    assert found.input_shape == (None, 24, 40, 3)


def test_a_layer_that_is_called_twice_stays_one() -> None:
    model = shared()
    assert flat(model, (SIDE, SIDE)).model.count_params() == model.count_params()
