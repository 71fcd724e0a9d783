"""A fingerprint stands for all that decides the numbers."""

import dataclasses
import hashlib
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from transforms import Backbone, embedding_spec
from transforms.core.spec import EmbeddingSpec

FIELDS: dict[str, Any] = {
    "backbone": "MobileNetV2",
    "backbone_kwargs": {"alpha": 0.5},
    "weights": "imagenet",
    "weights_sha256": "ab",
    "output": "avg",
    "classifier_activation": None,
    "image_size": (224, 320),
    "decoded_for": (224, 320),
    "resize": "crop",
    "resize_filter": "bicubic",
    "pixels_policy": "srgb-3",
    "precision": "float32",
    "normalize": False,
    "embedding_dtype": "float32",
    "dim": 1280,
    "preprocess": "backbone",
    "color_profile": "ignore",
    "central_fraction": 1.0,
}
CHANGED: dict[str, Any] = {
    "backbone": "ResNet50",
    "backbone_kwargs": {"alpha": 0.25},
    "weights": "random",
    "weights_sha256": "cd",
    "output": "max",
    "classifier_activation": "softmax",
    "image_size": (320, 224),
    "decoded_for": (320, 320),
    "resize": "pad",
    "resize_filter": "area",
    "pixels_policy": "srgb-4",
    "precision": "bfloat16",
    "normalize": True,
    "embedding_dtype": "float16",
    "dim": 1281,
    "preprocess": "torch",
    "color_profile": "apply",
    "central_fraction": 0.875,
}
CANONICAL = (
    '{"backbone":"MobileNetV2","backbone_kwargs":{"alpha":0.5},"classifier_activation":null,"decoded_for":[224,320],'
    '"dim":1280,"embedding_dtype":"float32","image_size":[224,320],"normalize":false,'
    '"output":"avg","pixels_policy":"srgb-3","precision":"float32","resize":"crop","resize_filter":"bicubic",'
    '"weights":"imagenet","weights_sha256":"ab"}'
)


def test_the_samples_cover_every_field() -> None:
    assert [f.name for f in dataclasses.fields(EmbeddingSpec)] == list(FIELDS) == list(CHANGED)


@pytest.mark.parametrize("field", FIELDS)
def test_the_fingerprint_changes_with_every_field(field: str) -> None:
    assert EmbeddingSpec(**FIELDS | {field: CHANGED[field]}).fingerprint != EmbeddingSpec(**FIELDS).fingerprint


def test_the_json_has_sorted_keys_and_no_spaces() -> None:
    assert EmbeddingSpec(**FIELDS).to_json() == CANONICAL


@pytest.mark.parametrize("name", ["preprocess", "color_profile", "central_fraction"])
def test_a_field_at_its_default_is_left_out_so_that_older_fingerprints_stay(name: str) -> None:
    older = EmbeddingSpec(**{field: value for field, value in FIELDS.items() if field != name})
    assert older.to_json() == EmbeddingSpec(**FIELDS).to_json() == CANONICAL
    assert older.fingerprint == EmbeddingSpec(**FIELDS).fingerprint


def test_a_field_that_is_not_at_its_default_stands_in_its_place() -> None:
    expected = CANONICAL.replace('"resize":', '"preprocess":"torch","resize":')
    assert EmbeddingSpec(**FIELDS | {"preprocess": "torch"}).to_json() == expected


def test_the_fingerprint_is_the_start_of_the_sha256_of_the_json() -> None:
    assert EmbeddingSpec(**FIELDS).fingerprint == hashlib.sha256(CANONICAL.encode()).hexdigest()[:16]


def test_equal_specs_have_equal_fingerprints_in_whatever_order_their_kwargs_are() -> None:
    one = EmbeddingSpec(**FIELDS | {"backbone_kwargs": {"a": 1, "b": 2}})
    other = EmbeddingSpec(**FIELDS | {"backbone_kwargs": {"b": 2, "a": 1}})
    assert one.fingerprint == other.fingerprint


def test_equal_numbers_have_equal_fingerprints_however_they_are_typed() -> None:
    typed = [EmbeddingSpec(**FIELDS | {"backbone_kwargs": {"alpha": x, "rates": [2 * x]}}) for x in (1, 1.0, True)]
    assert typed[0].fingerprint == typed[1].fingerprint
    # Of a switch, true is no number.
    assert typed[0].fingerprint != typed[2].fingerprint
    assert '"backbone_kwargs":{"alpha":1,"rates":[2]}' in typed[1].to_json()


def test_a_manifest_says_the_spec_also_one_that_was_made_when_the_engine_was_part_of_it() -> None:
    spec = EmbeddingSpec(**FIELDS | {"color_profile": "apply"})
    entry = json.loads(json.dumps(dataclasses.asdict(spec)))
    assert EmbeddingSpec.of(entry) == EmbeddingSpec.of({**entry, "engine": "openvino", "rewrites": False}) == spec
    assert EmbeddingSpec.of(json.loads(CANONICAL)) == EmbeddingSpec(**FIELDS)


def test_the_fingerprint_of_a_backbone_is_pinned() -> None:
    spec = embedding_spec(Backbone("MobileNet", weights="random", image_size=(32, 32), backbone_kwargs={"alpha": 0.25}))
    assert spec.fingerprint == "f152069a592a9399"


def test_the_fingerprint_of_imagenet_weights_is_pinned(test_data: pathlib.Path) -> None:
    # Keras reads KERAS_HOME at its import, so the spec is made in a process of its own.
    code = "from transforms import Backbone, embedding_spec; print(embedding_spec(Backbone('MobileNetV2')).fingerprint)"
    environment = {**os.environ, "KERAS_HOME": str(test_data / "keras_home")}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["559ce4fc82e68ab1"]
