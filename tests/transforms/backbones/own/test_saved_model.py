"""A SavedModel of the user's: run where it is trusted, refused where it cannot be a backbone."""

import pathlib
import shutil
import subprocess
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.transforms.backbones.conftest import KERAS_ENGINES, PIXELS, SMALL, assert_same, plain, usage_error
from tests.transforms.backbones.own.conftest import refused
from transforms import Backbone, embedding_spec
from transforms.backbones import load_backbone, own_backbone
from transforms.backbones.own import saved_model

TRUSTED = {"trust_model": True, "preprocess": "tf"}
"""As a MobileNet takes its input."""


def test_a_saved_model_needs_trust(tmp_path: pathlib.Path, model: keras.Model) -> None:
    path = tmp_path / "saved"
    model.export(path, verbose=False)
    says = "is a SavedModel, a program that can do anything; add --trust_model if you know who made it"
    assert says in refused(path, preprocess="tf")
    loaded = load_backbone(own_backbone(str(path), **TRUSTED))
    assert_same(loaded(PIXELS), plain(model))


def test_a_saved_model_needs_to_be_told_what_it_takes(tmp_path: pathlib.Path, model: keras.Model) -> None:
    path = tmp_path / "saved"
    model.export(path, verbose=False)
    assert "does not say what it takes; add --preprocess: raw, unit, tf, torch" in refused(path, trust_model=True)


@pytest.mark.parametrize("weights", ["random", "own.weights.h5"])
def test_other_weights_have_a_preprocessing_of_their_own(
    weights: str, tmp_path: pathlib.Path, model: keras.Model
) -> None:
    if weights != "random":
        weights = str(tmp_path / weights)
        model.save_weights(weights)
    assert "--preprocess raw is for a whole --model" in usage_error(weights=weights, preprocess="raw", **SMALL)
    spec = embedding_spec(Backbone(weights=weights, preprocess="backbone", **SMALL))
    assert spec == embedding_spec(Backbone(weights=weights, **SMALL))


@pytest.mark.exhaustive
@pytest.mark.parametrize("changed", ["variables/*.data*", "saved_model.pb", "variables/variables.index", "a name"])
def test_every_file_of_a_program_must_hash_to_what_was_promised(
    changed: str, tmp_path: pathlib.Path, model: keras.Model
) -> None:
    """(3f) Other variables in a program whose graph is the promised one are another network."""
    folder = tmp_path / "saved"
    model.export(folder, verbose=False)
    command = "find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    printed = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True).stdout
    promised = {"weights_sha256": printed.split()[0], **TRUSTED}
    assert_same(load_backbone(own_backbone(str(folder), **promised))(PIXELS), plain(model))
    if changed == "a name":
        (folder / "fingerprint.pb").rename(folder / "fingerprint")
    else:
        (file,) = folder.glob(changed)
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    assert f"not the --weights_sha256 {printed.split()[0]}" in refused(folder, **promised)


def test_a_saved_model_that_cannot_be_a_backbone_is_told(tmp_path: pathlib.Path, model: keras.Model) -> None:
    model.export(tmp_path / "fine", verbose=False)
    assert "whose output is its own; drop --layer" in refused(tmp_path / "fine", layer="conv1", **TRUSTED)
    image = tf.TensorSpec([None, 64, 64, 3])
    two_inputs = tf.function(lambda x, y: tf.reduce_mean(x + y, [1, 2]), input_signature=[image, image])
    two_outputs = tf.function(lambda x: {"a": tf.reduce_mean(x, [1, 2]), "b": x}, input_signature=[image])
    for name, function in {"inputs": two_inputs, "outputs": two_outputs}.items():
        tf.saved_model.save(tf.Module(), str(tmp_path / name), signatures=function)
        assert "a serving_default of one input and one output" in refused(tmp_path / name, **TRUSTED)
    grey = tf.function(lambda x: tf.reduce_mean(x, [1, 2]), input_signature=[tf.TensorSpec([None, 64, 64, 1])])
    tf.saved_model.save(tf.Module(), str(tmp_path / "grey"), signatures=grey)
    assert "takes (None, 64, 64, 1), not RGB images" in refused(tmp_path / "grey", **TRUSTED)
    shutil.copytree(tmp_path / "fine", tmp_path / "cut")
    (data,) = (tmp_path / "cut" / "variables").glob("*.data*")
    data.write_bytes(data.read_bytes()[:1000])
    assert "cannot be used as a SavedModel" in refused(tmp_path / "cut", **TRUSTED)


@pytest.mark.parametrize("engine", KERAS_ENGINES)
@pytest.mark.parametrize("kind", [tf.uint8, tf.int32])
def test_a_program_of_whole_numbers_takes_pixels_as_they_are(
    kind: tf.DType, engine: str, tmp_path: pathlib.Path
) -> None:
    program = tf.Module()
    signature = [tf.TensorSpec([None, *PIXELS.shape[1:]], kind)]
    program.f = tf.function(lambda image: tf.reduce_mean(tf.cast(image, tf.float32), (1, 2)), signature)
    tf.saved_model.save(program, str(tmp_path / "saved"), program.f)
    assert f"takes {kind.name} numbers, which only --preprocess raw gives" in refused(tmp_path / "saved", **TRUSTED)
    loaded = load_backbone(own_backbone(str(tmp_path / "saved"), trust_model=True, preprocess="raw", engine=engine))
    np.testing.assert_allclose(loaded(PIXELS), PIXELS.mean((1, 2)), rtol=1e-5)


@pytest.mark.parametrize(
    ("pooling", "pooled"), [("avg", lambda x: x.mean((1, 2))), ("max", lambda x: x.max((1, 2))), ("flatten", None)]
)
def test_maps_are_pooled(pooling: str, pooled: Any, tmp_path: pathlib.Path) -> None:
    maps = tf.function(tf.identity, input_signature=[tf.TensorSpec([None, 64, 64, 3])])
    tf.saved_model.save(tf.Module(), str(tmp_path / "maps"), signatures=maps)
    found = load_backbone(own_backbone(str(tmp_path / "maps"), pooling=pooling, **TRUSTED))(PIXELS)
    scaled = PIXELS / 127.5 - 1
    assert_same(found, pooled(scaled) if pooled else scaled.reshape(len(scaled), -1))
    assert "gives maps; choose avg or max" in refused(tmp_path / "maps", pooling="cls", **TRUSTED)


@pytest.mark.parametrize(("pooling", "pooled"), [("avg", lambda x: x.mean(1)), ("cls", lambda x: x[:, 0])])
def test_tokens_are_pooled(pooling: str, pooled: Any, tmp_path: pathlib.Path) -> None:
    image = tf.TensorSpec([None, 64, 64, 3])
    tokens = tf.function(lambda x: tf.reshape(x, [-1, 64 * 64, 3]), input_signature=[image])
    tf.saved_model.save(tf.Module(), str(tmp_path / "tokens"), signatures=tokens)
    found = load_backbone(own_backbone(str(tmp_path / "tokens"), pooling=pooling, **TRUSTED))(PIXELS)
    assert_same(found, pooled((PIXELS / 127.5 - 1).reshape(len(PIXELS), -1, 3)))


@pytest.mark.parametrize("engine", KERAS_ENGINES)
def test_a_saved_model_may_name_its_variables_as_it_likes(tmp_path: pathlib.Path, engine: str) -> None:
    path, random = tmp_path / "saved", np.random.default_rng(0)
    module = tf.Module()
    module.weights = [tf.Variable(random.standard_normal((3, 3), np.float32), name="same") for _ in range(2)]

    @tf.function(input_signature=[tf.TensorSpec([None, 64, 64, 3])])
    def means(x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(x, [1, 2]) @ module.weights[0] @ module.weights[1]

    tf.saved_model.save(module, str(path), signatures=means)
    loaded = load_backbone(own_backbone(str(path), engine=engine, **TRUSTED))
    first, second = (weight.numpy() for weight in module.weights)
    expected = (PIXELS / 127.5 - 1).mean(axis=(1, 2)) @ first @ second
    assert_same(loaded(PIXELS), expected)


@pytest.mark.exhaustive
def test_a_saved_model_that_is_too_large_for_constants_is_tensorflow_s(
    tmp_path: pathlib.Path, model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "saved"
    model.export(path, verbose=False)
    monkeypatch.setattr(saved_model, "LARGEST_CONSTANTS", 4 * model.count_params() - 1)
    error = refused(path, engine="openvino", **TRUSTED)
    assert "is too large for --engine openvino; use --engine tensorflow" in error
    loaded = load_backbone(own_backbone(str(path), engine="tensorflow", **TRUSTED))
    assert_same(loaded(PIXELS), plain(model))
    monkeypatch.setattr(saved_model, "LARGEST_CONSTANTS", 4 * model.count_params())
    loaded = load_backbone(own_backbone(str(path), engine="openvino", **TRUSTED))
    assert_same(loaded(PIXELS), plain(model))
