"""From a spec to a backbone and back: the same spec, for every kind of output; weights that lack are asked for."""

import dataclasses
import pathlib
from typing import Any

import keras
import pytest

from tests.fake_backbone import spec
from tests.transforms.backbones.conftest import SMALL
from transforms import Backbone, EmbeddingSpec
from transforms.backbones import backbone_from_spec, embedding_spec, own_backbone
from transforms.backbones.catalog.facts import catalog_rows
from transforms.core.errors import UsageError


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"pooling": "flatten", "normalize": True},
        {"layer": "conv_pw_1_relu", "pooling": "max"},
        {"include_top": True, "classifier_activation": "linear"},
        {"include_top": True, "image_size": None},
        {"image_size": (48, 64)},
    ],
    ids=str,
)
def test_a_spec_makes_the_backbone_that_made_it(arguments: dict[str, Any]) -> None:
    backbone = Backbone(**{**SMALL, "weights": "random", **arguments})
    made = embedding_spec(backbone, resize="pad", decoded_for=(96, 96))
    # As a manifest holds it.
    said = EmbeddingSpec.of(dataclasses.asdict(made))
    found = backbone_from_spec(said, engine=backbone.engine)
    assert found == backbone
    assert embedding_spec(found, resize="pad", decoded_for=(96, 96)).fingerprint == made.fingerprint


@pytest.mark.parametrize("name", catalog_rows())
def test_a_default_size_is_left_to_the_backbone_so_that_its_kept_graph_is_found(name: str) -> None:
    plain = Backbone(name, weights="random")
    assert backbone_from_spec(spec(backbone=name, image_size=plain.size), engine=plain.engine).key == plain.key


@pytest.mark.exhaustive
def test_own_weights_are_taken_from_wherever_they_are_now(tmp_path: pathlib.Path, model: keras.Model) -> None:
    model.save_weights(tmp_path / "there.weights.h5")
    made = embedding_spec(Backbone(weights=str(tmp_path / "there.weights.h5"), **SMALL))
    (tmp_path / "there.weights.h5").rename(tmp_path / "here.weights.h5")
    found = backbone_from_spec(made, str(tmp_path / "here.weights.h5"))
    assert embedding_spec(found) == made


@pytest.mark.exhaustive
def test_a_whole_model_is_found_again_from_its_path(tmp_path: pathlib.Path, model: keras.Model) -> None:
    model.export(tmp_path / "there", verbose=False)
    made = embedding_spec(own_backbone(str(tmp_path / "there"), trust_model=True, preprocess="caffe", pooling="max"))
    (tmp_path / "there").rename(tmp_path / "here")
    found = backbone_from_spec(made, str(tmp_path / "here"), trust_model=True)
    assert embedding_spec(found) == made
    says = f"of a whole model .saved_model.; give its path as --weights, its weights_sha256 is {made.weights_sha256}"
    with pytest.raises(UsageError, match=says):
        backbone_from_spec(made)
    keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Flatten()]).save(tmp_path / "other.keras")
    with pytest.raises(UsageError, match="is a model of another kind, keras, not saved_model"):
        backbone_from_spec(made, str(tmp_path / "other.keras"))


def test_the_precision_is_that_of_the_spec() -> None:
    assert backbone_from_spec(spec(precision="bfloat16")).precision == "bfloat16"


def test_weights_that_lack_are_asked_for_and_those_that_nobody_needs_refused() -> None:
    with pytest.raises(
        UsageError, match="own weights for MobileNetV2; give their path as --weights, their weights_sha256 is abc"
    ):
        backbone_from_spec(spec(weights="file", weights_sha256="abc"))
    with pytest.raises(UsageError, match="these embeddings are of random weights; drop it"):
        backbone_from_spec(spec(weights="random"), "mine.weights.h5")
