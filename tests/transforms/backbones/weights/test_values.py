"""Weights that cannot give a number are refused by the name of the layer, and every value counts in their hash."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.command import main
from tests.conftest import exhaustive, sample_image
from tests.transforms.backbones.conftest import KERAS_ENGINES, SMALL, SUFFIXES, plain, save, usage_error
from transforms import Backbone, embedding_spec
from transforms.backbones import load_backbone, own_backbone
from transforms.backbones.graph.model import build_model
from transforms.backbones.weights.values import Variable, check_values, sha256_of_values, variables_of
from transforms.core.errors import UsageError


@pytest.mark.parametrize("kind", ["moving_mean", *exhaustive("kernel", "moving_variance")])
def test_weights_that_differ_in_one_variable_have_another_hash(kind: str) -> None:
    """(5c) Vectors of networks that differ only in what is not trained, too, are never taken for the same."""
    model, _ = build_model(Backbone(weights="random", **SMALL))
    before = sha256_of_values(model)
    variable = [weight for weight in model.weights if weight.path.endswith(kind)][-1]
    values = variable.numpy()
    variable.assign(values + 1)
    assert sha256_of_values(model) != before
    variable.assign(values)
    assert sha256_of_values(model) == before


def spoilt(kind: str, value: float) -> keras.Model:
    """Return a MobileNet of which one value is wrong, in one channel of an early layer."""
    model = keras.applications.MobileNet(
        alpha=0.25, weights=None, include_top=False, pooling="avg", input_shape=(64, 64, 3)
    )
    variable = next(weight for weight in model.weights if weight.path == f"conv_dw_1{kind}")
    values = variable.numpy()
    values[..., 0] = value
    variable.assign(values)
    return model


@pytest.mark.parametrize("engine", ["tensorflow", *exhaustive("openvino")])
@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("/kernel", np.nan, "kernel of layer conv_dw_1 has values that are NaN or infinite"),
        *exhaustive(
            ("_bn/gamma", -np.inf, "gamma of layer conv_dw_1_bn has values that are NaN or infinite"),
            ("_bn/moving_mean", np.nan, "moving_mean of layer conv_dw_1_bn has values that are NaN or infinite"),
        ),
        ("_bn/moving_variance", -1, "moving_variance of layer conv_dw_1_bn has values below 0"),
    ],
)
def test_weights_that_keras_makes_nan_of_are_refused(
    kind: str, value: float, words: str, engine: str, tmp_path: pathlib.Path
) -> None:
    """(2f) Engines turn NaN into 0 where an activation follows: the vectors look fine, and mean nothing."""
    model = spoilt(kind, value)
    assert np.isnan(plain(model)).any(axis=1).all()
    path = str(tmp_path / "own.weights.h5")
    model.save_weights(path)
    assert usage_error(weights=path, engine=engine, **SMALL) == f"--weights {path} cannot be used: {words}"


@pytest.mark.exhaustive
@pytest.mark.parametrize("engine", KERAS_ENGINES)
def test_a_saved_model_with_such_weights_is_refused(engine: str, tmp_path: pathlib.Path) -> None:
    """(2f) A program's variables are read as those of a file are."""
    path = str(tmp_path / "saved")
    spoilt("/kernel", np.nan).export(path, verbose=False)
    words = "kernel of layer conv_dw_1 has values that are NaN or infinite"
    with pytest.raises(UsageError, match=f"^--model {path} cannot be used: {words}$"):
        load_backbone(own_backbone(path, trust_model=True, preprocess="tf", engine=engine))


def test_such_weights_end_the_command_before_any_work(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """(2f) Nothing is embedded with them, and nothing is written."""
    sample_image(1, 64, 64).save(tmp_path / "image.png")
    spoilt("/kernel", np.nan).save_weights(tmp_path / "own.weights.h5")
    flags = ["--backbone=MobileNet", '--backbone_kwargs={"alpha": 0.25}', "--image_size=64"]
    paths = [f"--input={tmp_path}/image.png", f"--output={tmp_path}/out", f"--weights={tmp_path}/own.weights.h5"]
    assert main([*flags, *paths]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "kernel of layer conv_dw_1 has values that are NaN or infinite" in line
    assert not (tmp_path / "out").exists()


def test_whole_numbers_are_always_finite() -> None:
    check_values(
        [Variable("normalization", "count", np.array(3)), Variable("", "step", np.array([1]))], Backbone(weights="mine")
    )
    with pytest.raises(UsageError, match="--weights mine cannot be used: scale has values that are NaN"):
        check_values(variables_of([tf.Variable([1.0, np.inf], name="scale")]), Backbone(weights="mine"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_hash_is_that_of_the_values_in_whatever_file_they_are(
    suffix: str, tmp_path: pathlib.Path, model: keras.Model
) -> None:
    save(model, tmp_path / f"own{suffix}")
    found = embedding_spec(Backbone(weights=str(tmp_path / f"own{suffix}"), **SMALL)).weights_sha256
    assert found == sha256_of_values(model)
