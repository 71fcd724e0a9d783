"""A backbone's Keras model: its weights, the output that was asked for, and what Keras refuses."""

import hashlib
import pathlib
import random
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import exhaustive
from tests.transforms.backbones.conftest import PIXELS, SMALL, SUFFIXES, assert_same, plain, save, usage_error
from transforms import Backbone, embedding_spec
from transforms.backbones import load_backbone
from transforms.backbones.backbone import WeightsFacts
from transforms.backbones.graph.graph import build_graph
from transforms.backbones.graph.model import build_model, keras_source


@pytest.mark.exhaustive
def test_random_weights_are_the_same_in_each_process() -> None:
    code = (
        "import json; from transforms import Backbone, embedding_spec;"
        f"print(embedding_spec(Backbone(weights='random', **{SMALL!r})).weights_sha256)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert found == embedding_spec(Backbone(weights="random", **SMALL)).weights_sha256


def test_random_weights_leave_the_caller_s_random_numbers_alone() -> None:
    def numbers(between: object) -> tuple[float, float]:
        random.seed(5)
        np.random.seed(5)
        between()
        return random.random(), float(np.random.rand())

    assert numbers(lambda: build_model(Backbone(weights="random", **SMALL))) == numbers(lambda: None)


@pytest.mark.parametrize("suffix", [SUFFIXES[0], *exhaustive(*SUFFIXES[1:])])
def test_weights_are_known_by_their_values_in_whatever_file_they_are(
    tmp_path: pathlib.Path, model: keras.Model, suffix: str
) -> None:
    path = tmp_path / f"own{suffix}"
    save(model, path)
    values = b"".join(np.asarray(value).tobytes() for value in model.get_weights())
    facts = keras_source(Backbone(weights=str(path), **SMALL)).facts()
    assert facts == WeightsFacts(256, hashlib.sha256(values).hexdigest())


@pytest.mark.parametrize("pooling", ["avg", *exhaustive("max", "flatten")])
def test_a_layer_is_pooled_as_asked(pooling: str) -> None:
    loaded = load_backbone(Backbone(weights="random", layer="conv_pw_3_relu", pooling=pooling, **SMALL))
    keras.utils.set_random_seed(0)
    whole = keras.applications.MobileNet(alpha=0.25, weights=None, include_top=False, input_shape=(64, 64, 3))
    maps = plain(keras.Model(whole.input, whole.get_layer("conv_pw_3_relu").output))
    expected = {"avg": maps.mean(axis=(1, 2)), "max": maps.max(axis=(1, 2)), "flatten": maps.reshape(3, -1)}[pooling]
    assert_same(loaded(PIXELS), expected)


@pytest.mark.exhaustive
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_layer_has_the_weights_that_a_file_of_the_whole_has(tmp_path: pathlib.Path, suffix: str) -> None:
    keras.utils.set_random_seed(7)
    whole = keras.applications.NASNetMobile(weights=None, include_top=False, input_shape=(64, 64, 3))
    path = tmp_path / f"own{suffix}"
    save(whole, path)
    # It lies in a branch: layers of the others, of the same kinds and shapes, come before it in the file.
    layer = "adjust_bn_8"
    maps = keras.Model(whole.input, whole.get_layer(layer).output)(PIXELS / np.float32(127.5) - 1, training=False)
    loaded = load_backbone(Backbone("NASNetMobile", weights=str(path), layer=layer, image_size=(64, 64)))
    np.testing.assert_allclose(loaded(PIXELS), np.mean(maps, axis=(1, 2)), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("pooling", ["max", *exhaustive("flatten")])
def test_the_last_map_is_pooled_as_asked(pooling: str) -> None:
    loaded = load_backbone(Backbone(weights="random", pooling=pooling, **SMALL))
    keras.utils.set_random_seed(0)
    maps = plain(keras.applications.MobileNet(alpha=0.25, weights=None, include_top=False, input_shape=(64, 64, 3)))
    expected = maps.max(axis=(1, 2)) if pooling == "max" else maps.reshape(3, -1)
    assert_same(loaded(PIXELS), expected)


def test_logits_become_probabilities_by_softmax() -> None:
    logits = load_backbone(Backbone(weights="random", include_top=True, classifier_activation="linear", **SMALL))
    scores = load_backbone(Backbone(weights="random", include_top=True, **SMALL))
    exponentials = np.exp(logits(PIXELS).astype(np.float64))
    assert scores(PIXELS).shape == (len(PIXELS), 1000)
    np.testing.assert_allclose(scores(PIXELS), exponentials / exponentials.sum(axis=1, keepdims=True), rtol=1e-4)


def test_a_policy_of_the_caller_s_does_not_reach_a_backbone() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        graph = build_graph(Backbone(weights="random", **SMALL))
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy("float32")
    types = {output.dtype for node in graph.function.graph.get_operations() for output in node.outputs}
    assert tf.float16 not in types


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone_kwargs": {"alfa": 1}}, "did you mean 'alpha'"),
        ({"layer": "blok_1_pad"}, "did you mean 'block_1_pad'"),
        ({"layer": "xyz"}, "MobileNetV2 has no layer 'xyz'; the last ones are Conv_1, Conv_1_bn, out_relu"),
        ({"image_size": (8, 8)}, "at least 32x32"),
    ],
)
def test_what_keras_does_not_have_is_told_in_one_line(arguments: dict[str, object], message: str) -> None:
    assert message in usage_error(weights="random", **arguments)
