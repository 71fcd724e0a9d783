"""The package's own names: lazy, documented, and enough to name, load, run and describe a backbone."""

import dataclasses
import json
import pathlib
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest

from tests.transforms.backbones.conftest import PIXELS, SMALL, assert_same, plain
from transforms import Backbone, backbones
from transforms.backbones import embedding_spec, load_backbone, name_classes

LIBRARIES = ("apache_beam", "h5py", "keras", "numpy", "openvino", "pyarrow", "tensorflow")


@pytest.mark.parametrize(
    "code",
    [
        "from transforms.backbones import Backbone; Backbone('resnet50', engine='openvino').key",
        "from transforms.backbones import find_backbone; find_backbone('resnet50')",
        "from transforms.backbones import choose_engine, has_gpu; choose_engine('auto')",
    ],
    ids=["name", "find", "choose"],
)
def test_naming_and_checking_a_backbone_imports_no_library(code: str) -> None:
    code = f"import json, sys; {code}; print(json.dumps([*sys.modules]))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(result.stdout)).isdisjoint(LIBRARIES)


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    assert sorted(backbones.__all__) == backbones.__all__
    for name in backbones.__all__:
        assert getattr(backbones, name).__doc__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'transforms\.backbones' has no attribute 'Backbones'"):
        _ = backbones.Backbones


def test_a_backbone_is_loaded_and_run_by_the_package_s_names_alone() -> None:
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNet(
        alpha=0.25, weights=None, include_top=False, pooling="avg", input_shape=(64, 64, 3)
    )
    vectors = load_backbone(Backbone(weights="random", **SMALL))(PIXELS)
    assert (vectors.dtype, vectors.shape) == (np.float32, (len(PIXELS), 256))
    assert_same(vectors, plain(model))


def test_classes_are_named_best_first() -> None:
    (best,) = name_classes(np.array([[0.1, 0.7, 0.2]], np.float32), 2)
    assert [name for _, name, _ in best] == ["1", "2"]


def test_a_spec_says_what_decides_the_numbers() -> None:
    spec = embedding_spec(Backbone(weights="random", **SMALL), resize="pad", embedding_dtype="float16")
    assert (spec.backbone, spec.backbone_kwargs, spec.weights, spec.dim) == (
        "MobileNet",
        {"alpha": 0.25},
        "random",
        256,
    )
    assert (spec.image_size, spec.decoded_for, spec.resize) == ((64, 64), (64, 64), "pad")
    assert spec.embedding_dtype == "float16"
    wider = embedding_spec(Backbone(weights="random", **SMALL), decoded_for=(96, 64))
    assert (wider.image_size, wider.decoded_for) == ((64, 64), (96, 64))


@pytest.mark.parametrize("change", [{"engine": "openvino"}, {"rewrites": False}], ids=str)
def test_the_spec_does_not_say_what_computed_it(change: dict[str, Any]) -> None:
    backbone = Backbone("MobileNet", weights="random", image_size=(32, 32))
    assert embedding_spec(dataclasses.replace(backbone, **change)) == embedding_spec(backbone)


def test_a_spec_knows_own_weights_by_their_values_not_by_their_path(tmp_path: pathlib.Path, model: keras.Model) -> None:
    specs = []
    for name in ("a.weights.h5", "b.weights.h5"):
        model.save_weights(tmp_path / name)
        specs.append(embedding_spec(Backbone(weights=str(tmp_path / name), **SMALL)))
    assert specs[0] == specs[1]
    assert specs[0].weights == "file"
    assert str(tmp_path) not in specs[0].to_json()


def test_a_spec_has_the_activation_of_a_top_alone() -> None:
    top = Backbone(weights="random", include_top=True, classifier_activation="linear", **SMALL)
    spec = embedding_spec(top)
    assert (spec.output, spec.classifier_activation, spec.dim) == ("top", "linear", 1000)
    assert embedding_spec(Backbone(weights="random", **SMALL)).classifier_activation is None
