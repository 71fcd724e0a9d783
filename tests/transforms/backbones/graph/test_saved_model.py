"""A SavedModel of the user's: run where it is trusted, refused where it cannot be a backbone."""

import pathlib
import shutil
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import exhaustive
from tests.transforms.backbones.conftest import PIXELS, SMALL, assert_same, plain, usage_error
from transforms import Backbone, embedding_spec
from transforms.backbones import load_backbone
from transforms.backbones.engines import ENGINES
from transforms.backbones.graph import saved_model


def test_a_saved_model_needs_trust(tmp_path: pathlib.Path, model: keras.Model) -> None:
    path = tmp_path / "saved"
    model.export(path, verbose=False)
    assert "--trust_saved_model" in usage_error(weights=str(path), **SMALL)
    loaded = load_backbone(Backbone(weights=str(path), trust_saved_model=True, preprocess="backbone", **SMALL))
    assert_same(loaded(PIXELS), plain(model))


def test_a_saved_model_needs_to_be_told_what_it_takes(tmp_path: pathlib.Path, model: keras.Model) -> None:
    """(3f) Nothing is guessed from --backbone, whose own preprocessing may be another."""
    path = tmp_path / "saved"
    model.export(path, verbose=False)
    error = usage_error(weights=str(path), trust_saved_model=True, **SMALL)
    assert "which does not say what it takes; add --preprocess: backbone, raw, unit, tf, torch" in error


@pytest.mark.parametrize("weights", ["random", "own.weights.h5"])
def test_other_weights_have_a_preprocessing_of_their_own(
    weights: str, tmp_path: pathlib.Path, model: keras.Model
) -> None:
    if weights != "random":
        weights = str(tmp_path / weights)
        model.save_weights(weights)
    assert "--preprocess raw is for a SavedModel" in usage_error(weights=weights, preprocess="raw", **SMALL)
    spec = embedding_spec(Backbone(weights=weights, preprocess="backbone", **SMALL))
    assert spec == embedding_spec(Backbone(weights=weights, **SMALL))


@pytest.mark.parametrize(
    "changed", ["variables/*.data*", *exhaustive("saved_model.pb", "variables/variables.index", "a name")]
)
def test_every_file_of_a_program_must_hash_to_what_was_promised(
    changed: str, tmp_path: pathlib.Path, model: keras.Model
) -> None:
    """(3f) Other variables in a program whose graph is the promised one are another network."""
    folder = tmp_path / "saved"
    model.export(folder, verbose=False)
    command = "find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    printed = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True).stdout
    promised = {
        "weights": str(folder),
        "weights_sha256": printed.split()[0],
        "trust_saved_model": True,
        "preprocess": "backbone",
        **SMALL,
    }
    assert_same(load_backbone(Backbone(**promised))(PIXELS), plain(model))
    if changed == "a name":
        (folder / "fingerprint.pb").rename(folder / "fingerprint")
    else:
        (file,) = folder.glob(changed)
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    # Another normalization, since a loaded backbone stays loaded.
    error = usage_error(normalize=True, **promised)
    assert f"not the --weights_sha256 {printed.split()[0]}" in error


def test_a_saved_model_that_cannot_be_a_backbone_is_told(tmp_path: pathlib.Path, model: keras.Model) -> None:
    model.export(tmp_path / "fine", verbose=False)
    fine = {"weights": str(tmp_path / "fine"), "trust_saved_model": True, "preprocess": "backbone", **SMALL}
    assert "drop --layer, --pooling" in usage_error(**fine, layer="conv1")
    assert "drop --layer, --pooling" in usage_error(**fine, pooling="max")
    image = tf.TensorSpec([None, 64, 64, 3])
    two_inputs = tf.function(lambda x, y: tf.reduce_mean(x + y, [1, 2]), input_signature=[image, image])
    two_outputs = tf.function(lambda x: {"a": tf.reduce_mean(x, [1, 2]), "b": x}, input_signature=[image])
    for name, function in {"inputs": two_inputs, "outputs": two_outputs}.items():
        tf.saved_model.save(tf.Module(), str(tmp_path / name), signatures=function)
        error = usage_error(weights=str(tmp_path / name), trust_saved_model=True, preprocess="backbone", **SMALL)
        assert "a serving_default of one input and one output" in error
    shutil.copytree(tmp_path / "fine", tmp_path / "cut")
    (data,) = (tmp_path / "cut" / "variables").glob("*.data*")
    data.write_bytes(data.read_bytes()[:1000])
    assert "cannot be used as a SavedModel" in usage_error(**fine | {"weights": str(tmp_path / "cut")})


def test_a_saved_model_of_maps_is_refused(tmp_path: pathlib.Path) -> None:
    maps = tf.function(tf.identity, input_signature=[tf.TensorSpec([None, 64, 64, 3])])
    tf.saved_model.save(tf.Module(), str(tmp_path / "maps"), signatures=maps)
    error = usage_error(weights=str(tmp_path / "maps"), trust_saved_model=True, preprocess="backbone", **SMALL)
    assert "gives (None, 64, 64, 3), not one vector an image" in error


@pytest.mark.parametrize("engine", ENGINES)
def test_a_saved_model_may_name_its_variables_as_it_likes(tmp_path: pathlib.Path, engine: str) -> None:
    path, random = tmp_path / "saved", np.random.default_rng(0)
    module = tf.Module()
    module.weights = [tf.Variable(random.standard_normal((3, 3), np.float32), name="same") for _ in range(2)]

    @tf.function(input_signature=[tf.TensorSpec([None, 64, 64, 3])])
    def means(x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(x, [1, 2]) @ module.weights[0] @ module.weights[1]

    tf.saved_model.save(module, str(path), signatures=means)
    loaded = load_backbone(
        Backbone(weights=str(path), trust_saved_model=True, preprocess="backbone", engine=engine, **SMALL)
    )
    first, second = (weight.numpy() for weight in module.weights)
    expected = (PIXELS / 127.5 - 1).mean(axis=(1, 2)) @ first @ second
    assert_same(loaded(PIXELS), expected)


@pytest.mark.exhaustive
def test_a_saved_model_that_is_too_large_for_constants_is_tensorflow_s(
    tmp_path: pathlib.Path, model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.export(tmp_path / "saved", verbose=False)
    trusted = {"weights": str(tmp_path / "saved"), "trust_saved_model": True, "preprocess": "backbone", **SMALL}
    monkeypatch.setattr(saved_model, "LARGEST_CONSTANTS", 4 * model.count_params() - 1)
    error = usage_error(engine="openvino", **trusted)
    assert "is too large for --engine openvino; use --engine tensorflow" in error
    loaded = load_backbone(Backbone(engine="tensorflow", **trusted))
    assert_same(loaded(PIXELS), plain(model))
    monkeypatch.setattr(saved_model, "LARGEST_CONSTANTS", 4 * model.count_params())
    loaded = load_backbone(Backbone(engine="openvino", **trusted))
    assert_same(loaded(PIXELS), plain(model))
