"""Normalizations, paddings and preprocessing in the layers beside them: the same numbers by less work."""

import numpy as np
import pytest

from tests.conftest import exhaustive
from transforms.backbones.graph.keras_applications import keras
from transforms.backbones.rewrites.fold import fold

CONVOLUTIONS = {
    "conv": lambda **kwargs: keras.layers.Conv2D(6, 3, **kwargs),
    "depthwise": lambda **kwargs: keras.layers.DepthwiseConv2D(3, depth_multiplier=2, **kwargs),
    "separable": lambda **kwargs: keras.layers.SeparableConv2D(6, 3, depth_multiplier=2, **kwargs),
}


def convolved(convolution: str = "conv", shared: bool = False, affine: bool = True, **kwargs: object) -> "keras.Model":
    random = np.random.default_rng(0)
    inputs = keras.Input((8, 8, 3))
    output = CONVOLUTIONS[convolution](name="conv", **kwargs)(inputs)
    normalized = keras.layers.BatchNormalization(center=affine, scale=affine)(output)
    last = keras.layers.ReLU()(normalized)
    model = keras.Model(inputs, [last, output] if shared else last)
    model.set_weights([random.uniform(0.5, 2, w.shape) for w in model.get_weights()])
    return model


def normalizations(model: "keras.Model") -> list[str]:
    return [layer.name for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize("use_bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
def test_the_numbers_stay_and_the_normalization_is_gone(convolution: str, use_bias: bool, affine: bool) -> None:
    model = convolved(convolution, use_bias=use_bias, affine=affine)
    images = np.random.default_rng(1).standard_normal((2, 8, 8, 3)).astype(np.float32)
    before = model(images, training=False).numpy()
    folded = fold(model).model
    assert not normalizations(folded)
    np.testing.assert_allclose(folded(images, training=False).numpy(), before, rtol=1e-4, atol=1e-4)


def test_the_model_itself_is_left_alone() -> None:
    model = convolved(use_bias=True)
    before = model.get_weights()
    fold(model)
    assert normalizations(model)
    for weight, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, then)


def padded(convolution: str, side: int, kernel: int, stride: int, zeros: object, **kwargs: object) -> "keras.Model":
    inputs = keras.Input((side, side, 3))
    layer = {"conv": keras.layers.Conv2D, "separable": keras.layers.SeparableConv2D}.get(convolution)
    shape = {"kernel_size": kernel, "strides": stride, "name": "conv", **kwargs}
    convolve = layer(5, **shape) if layer else keras.layers.DepthwiseConv2D(**shape)
    return keras.Model(inputs, convolve(keras.layers.ZeroPadding2D(zeros)(inputs)))


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize(
    ("side", "kernel", "stride", "zeros", "gone"),
    [
        (8, 3, 2, ((0, 1), (0, 1)), True),
        (9, 3, 2, 1, True),
        (8, 5, 2, ((1, 2), (1, 2)), True),
        (8, 3, 1, 1, True),
        (8, 3, 2, 1, False),
        (8, 3, 2, ((1, 0), (1, 0)), False),
        (8, 3, 2, ((0, 1), (0, 2)), False),
        (14, 7, 2, 3, False),
    ],
)
def test_zeros_that_are_those_of_same_are_the_convolution_s(
    convolution: str, side: int, kernel: int, stride: int, zeros: object, gone: bool
) -> None:
    model = padded(convolution, side, kernel, stride, zeros)
    images = np.random.default_rng(1).standard_normal((2, side, side, 3)).astype(np.float32)
    folded = fold(model).model
    assert any(isinstance(layer, keras.layers.ZeroPadding2D) for layer in folded.layers) is not gone
    assert folded.output_shape == model.output_shape
    np.testing.assert_allclose(folded(images), model(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kwargs", [{"padding": "same"}, {"dilation_rate": 2}], ids=["same", "dilated"])
def test_zeros_before_another_convolution_stay(kwargs: dict[str, object]) -> None:
    model = padded("conv", 8, 3, 1, 1, **kwargs)
    assert any(isinstance(layer, keras.layers.ZeroPadding2D) for layer in fold(model).model.layers)


def test_zeros_that_something_else_sees_stay() -> None:
    inputs = keras.Input((8, 8, 3))
    zeros = keras.layers.ZeroPadding2D(1)(inputs)
    model = keras.Model(inputs, [keras.layers.Conv2D(5, 3)(zeros), keras.layers.Conv2D(5, 5)(zeros)])
    images = np.random.default_rng(1).standard_normal((2, 8, 8, 3)).astype(np.float32)
    for found, expected in zip(fold(model).model(images), model(images), strict=True):
        np.testing.assert_array_equal(found, expected)


def pooled(before: str, zeros: object = 1, **kwargs: object) -> "keras.Model":
    inputs = keras.Input((9, 8, 3))
    nonnegative = {
        "relu": keras.layers.ReLU(),
        "activation": keras.layers.Activation("relu"),
        "leaky": keras.layers.ReLU(None, 0.1),
    }
    output = nonnegative.get(before, keras.layers.Identity())(inputs)
    around = keras.layers.ZeroPadding2D(zeros)(output)
    last = keras.layers.MaxPooling2D(**{"pool_size": 3, "strides": 2, **kwargs})(around)
    return keras.Model(inputs, [last, around] if before == "relu, seen" else last)


@pytest.mark.parametrize(
    ("model", "gone"),
    [
        (pooled("relu"), True),
        (pooled("activation"), True),
        (pooled("relu", ((0, 1), (2, 0)), strides=1), True),
        (pooled("relu", pool_size=(2, 4)), True),
        (pooled("nothing"), False),
        (pooled("leaky"), False),
        (pooled("relu, seen"), False),
        (pooled("relu", 3), False),
        (pooled("relu", ((0, 1), (2, 0)), pool_size=(3, 2)), False),
        (pooled("relu", padding="same"), False),
    ],
    ids=["relu", "activation", "uneven", "oblong", "negative", "leaky", "seen", "wide", "wide once", "same"],
)
def test_zeros_are_a_max_pooling_s_where_nothing_is_below_them(model: "keras.Model", gone: bool) -> None:
    images = np.random.default_rng(1).standard_normal((2, 9, 8, 3)).astype(np.float32)
    folded = fold(model).model
    assert any(isinstance(layer, keras.layers.ZeroPadding2D) for layer in folded.layers) is not gone
    assert folded.output_shape == model.output_shape
    for found, expected in zip(keras.tree.flatten(folded(images)), keras.tree.flatten(model(images)), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("module", ["resnet50", "densenet", "mobilenet_v2"], ids=["caffe", "torch", "tf"])
@pytest.mark.parametrize(
    "model",
    [convolved(), convolved(padding="same", use_bias=False), padded("conv", 8, 3, 2, 1), padded("conv", 8, 3, 1, 1)],
    ids=["conv", "no bias", "zeros", "zeros of same"],
)
def test_what_mixes_channels_is_in_the_first_kernel_and_a_shift_is_left(module: str, model: "keras.Model") -> None:
    preprocess = getattr(keras.applications, module).preprocess_input
    pixels = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3)).astype(np.float32)
    expected = model(preprocess(np.copy(pixels)), training=False).numpy()
    folded = fold(model, preprocess)
    shifted = folded.preprocess(pixels)
    assert np.ptp(shifted - pixels, axis=(0, 1, 2)).max() < 1e-4
    found = folded.model(shifted, training=False).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    "model",
    [convolved("depthwise"), convolved(groups=3), pooled("relu")],
    ids=["depthwise", "groups", "none"],
)
def test_preprocessing_stays_where_no_first_kernel_mixes_channels(model: "keras.Model") -> None:
    preprocess = keras.applications.resnet50.preprocess_input
    assert fold(model, preprocess).preprocess is preprocess


def test_nothing_is_left_to_do_where_preprocessing_does_nothing() -> None:
    preprocess = keras.applications.efficientnet.preprocess_input
    folded = fold(padded("conv", 14, 7, 2, 3), preprocess)
    assert folded.preprocess is preprocess


def read_by(reader: str) -> "keras.Model":
    inputs = keras.Input((8, 8, 3))
    convolution, normalization = keras.layers.Conv2D(3, 3, padding="same"), keras.layers.BatchNormalization()
    output = convolution(inputs)
    if reader == "an operation":
        last = normalization(output) + keras.ops.square(output)
    elif reader == "itself again":
        last = convolution(normalization(output))
    else:
        last = normalization(normalization(output))
    return keras.Model(inputs, last)


@pytest.mark.parametrize(
    "model",
    [
        convolved(shared=True),
        convolved(activation="relu"),
        *map(read_by, ["an operation", "itself again", "its normalization's second call"]),
    ],
    ids=["shared", "relu", "operation", "convolution twice", "normalization twice"],
)
def test_a_convolution_that_something_else_sees_stays(model: "keras.Model") -> None:
    images = np.random.default_rng(1).standard_normal((2, 8, 8, 3)).astype(np.float32)
    folded = fold(model).model
    assert normalizations(folded) == normalizations(model)
    for found, expected in zip(keras.tree.flatten(folded(images)), keras.tree.flatten(model(images)), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("name", "left"), [("MobileNetV2", 0), ("ResNet50V2", 17), *exhaustive(("ResNet50", 0), ("EfficientNetB0", 0))]
)
def test_a_backbone_keeps_the_normalizations_that_no_convolution_is_before(name: str, left: int) -> None:
    model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(32, 32, 3))
    assert len(normalizations(fold(model).model)) == left


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("MobileNetV2", 32),
        ("MobileNetV3Small", 32),
        *exhaustive(
            ("Xception", 71),
            ("ResNet50", 32),
            ("ResNet50V2", 32),
            ("InceptionV3", 75),
            ("DenseNet121", 32),
            ("NASNetMobile", 32),
            ("EfficientNetB0", 32),
        ),
    ],
)
def test_a_backbone_gives_its_own_numbers(name: str, side: int) -> None:
    model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(side, side, 3))
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # Different for each: those of random weights are all alike.
            layer.set_weights([w + random.uniform(-0.2, 0.2, w.shape) for w in layer.get_weights()])
    images = random.uniform(-1, 1, (2, side, side, 3)).astype(np.float32)
    expected = np.ravel(model(images, training=False)).astype(np.float64)
    found = np.ravel(fold(model).model(images, training=False)).astype(np.float64)
    assert expected.std() > 0
    assert expected @ found / np.linalg.norm(expected) / np.linalg.norm(found) > 0.999999
