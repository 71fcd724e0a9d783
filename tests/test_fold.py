"""Biases in the batch normalization behind them: the same numbers by less work."""

import numpy as np
import pytest

from transforms.backbones.fold import fold_biases
from transforms.backbones.keras_applications import keras


def conv_and_bn(shared: bool = False, activation: str | None = None) -> "keras.Model":
    random = np.random.default_rng(0)
    inputs = keras.Input((8, 8, 3))
    convolved = keras.layers.Conv2D(4, 3, activation=activation, name="conv")(inputs)
    output = keras.layers.BatchNormalization()(convolved)
    model = keras.Model(inputs, [output, convolved] if shared else output)
    model.set_weights([random.uniform(0.5, 2, w.shape) for w in model.get_weights()])
    return model


def test_the_numbers_stay_and_the_bias_is_gone() -> None:
    model = conv_and_bn()
    images = np.random.default_rng(1).standard_normal((2, 8, 8, 3)).astype(np.float32)
    before = model(images, training=False).numpy()
    fold_biases(model)
    assert not model.get_layer("conv").use_bias
    np.testing.assert_allclose(model(images, training=False).numpy(), before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", [conv_and_bn(shared=True), conv_and_bn(activation="relu")], ids=["shared", "relu"])
def test_a_bias_that_something_else_sees_stays(model: "keras.Model") -> None:
    fold_biases(model)
    assert model.get_layer("conv").use_bias


def test_resnets_biases_are_all_folded() -> None:
    model = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(32, 32, 3))
    fold_biases(model)
    assert not [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D) and layer.use_bias]
