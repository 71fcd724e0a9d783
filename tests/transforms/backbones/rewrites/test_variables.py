"""Few variables, made sooner: the same numbers, the same weights in files, and no more of them than said."""

import math
import pathlib

import numpy as np
import pytest

from transforms.backbones.graph.keras_applications import keras
from transforms.backbones.rewrites.variables import SMALL, of_one_name, with_constants
from transforms.core.tensorflow_setup import tf


def mobilenet() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNet(alpha=0.5, input_shape=(32, 32, 3), include_top=False, weights=None)
    # Those of normalizations are all zeros or all ones.
    random = np.random.default_rng(0)
    model.set_weights([x if x.ndim > 1 else random.uniform(0.5, 1.5, x.shape) for x in model.get_weights()])
    return model


def test_variables_of_one_name_are_found_in_files_by_keras_names(tmp_path: pathlib.Path) -> None:
    named = mobilenet()
    with of_one_name():
        alike = mobilenet()
    after = mobilenet()
    assert {weight.value.name for weight in alike.weights} == {"weight:0"}
    assert len({weight.value.name for weight in after.weights}) == len(after.weights)
    assert [weight.path.split("/")[-2:] for weight in alike.weights] == [
        weight.path.split("/")[-2:] for weight in named.weights
    ]
    named.save_weights(tmp_path / "mine.weights.h5")
    alike.set_weights([np.zeros_like(x) for x in alike.get_weights()])
    alike.load_weights(tmp_path / "mine.weights.h5")
    for mine, theirs in zip(named.weights, alike.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(("policy", "error"), [("float32", 1e-5), ("mixed_bfloat16", 0.05)])
def test_constants_give_the_same_numbers(policy: str, error: float) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        model = mobilenet()
    finally:
        keras.config.set_dtype_policy("float32")
    pixels = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    expected = tf.function(lambda x: model(x, training=False))(pixels).numpy().astype(np.float64)
    function, _ = with_constants(model)
    found = tf.function(function)(pixels).numpy().astype(np.float64)
    assert np.std(expected) > 0
    # Of constants TensorFlow computes some things before, and so rounds otherwise.
    np.testing.assert_allclose(found / expected.max(), expected / expected.max(), rtol=0, atol=error)


def test_only_large_weights_are_left_as_variables() -> None:
    model = mobilenet()
    function, variables = with_constants(model)
    traced = tf.function(function).get_concrete_function(tf.TensorSpec([None, 32, 32, 3]))
    large = [weight.value.ref() for weight in model.weights if math.prod(weight.shape) > SMALL]
    assert 0 < len(large) < len(model.weights)
    assert {variable.ref() for variable in traced.graph.variables} == {*large}
    assert [variable.ref() for variable in variables] == large
