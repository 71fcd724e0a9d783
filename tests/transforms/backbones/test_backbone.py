"""Which backbone and which of its outputs: checked by values alone, and told in one line where it cannot be."""

import dataclasses
import subprocess
import sys
from typing import Any

import pytest

from transforms import Backbone
from transforms.backbones.backbone import OwnModel
from transforms.core.errors import UsageError

OTHERS = {
    "name": "MobileNet",
    "weights": "random",
    "weights_sha256": "ab",
    "backbone_kwargs": {"alpha": 0.5},
    "pooling": "max",
    "include_top": True,
    "classifier_activation": "linear",
    "top_k": 5,
    "layer": "out_relu",
    "image_size": (64, 96),
    "normalize": True,
    "precision": "bfloat16",
    "engine": "openvino",
    "model": OwnModel("onnx", 7),
    "trust_model": True,
    "preprocess": "torch",
    "rewrites": False,
}
"""Another value for each argument than the default."""


def test_a_name_of_any_case_is_the_constructor_s() -> None:
    assert Backbone("efficientnetv2b0").name == "EfficientNetV2B0"
    with pytest.raises(UsageError, match="did you mean 'ResNet50'"):
        Backbone("ResNet-50")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone_kwargs": {"pooling": "avg"}}, "use --pooling"),
        ({"backbone_kwargs": {"input_tensor": 1}}, "use --input"),
        ({"top_k": 5}, "add --include_top"),
        ({"top_k": -1, "include_top": True}, "--top_k must be at least 1, is -1"),
        ({"layer": "x", "include_top": True}, "give one of them"),
        ({"image_size": (0, 8)}, r"--image_size must be positive, is \(0, 8\)"),
        ({"pooling": "sum"}, "--pooling must be one of avg, max, flatten, cls, is 'sum'"),
        ({"classifier_activation": "relu"}, "--classifier_activation must be one of softmax, linear, is 'relu'"),
        ({"precision": "float64"}, "--precision must be one of float32, bfloat16, float16, is 'float64'"),
        ({"preprocess": "tourch"}, r"--preprocess must be .*, is 'tourch' \(did you mean 'torch'\?\)"),
        ({"pooling": "cls"}, "--pooling cls is for a --model of tokens"),
        ({"model": OwnModel("onnx"), "include_top": True}, "--include_top and --backbone_kwargs are for a --backbone"),
        ({"model": OwnModel("onnx"), "preprocess": "raw"}, "needs an image_size and a preprocess"),
        ({"engine": "onnx"}, "--engine must be one of auto, tensorflow, openvino, onnxruntime, is 'onnx'"),
    ],
)
def test_arguments_that_cannot_work_are_told_in_one_line(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        Backbone(**arguments)
    assert "\n" not in str(error.value)


def test_the_size_is_the_constructor_s_until_another_is_given() -> None:
    assert Backbone("Xception").size == (299, 299)
    assert Backbone("Xception", image_size=(96, 128)).size == (96, 128)


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ({}, "avg"),
        ({"pooling": "flatten"}, "flatten"),
        ({"include_top": True}, "top"),
        ({"layer": "conv_pw_5", "pooling": "max"}, "layer:conv_pw_5:max"),
    ],
)
def test_the_output_is_said_in_words(arguments: dict[str, object], output: str) -> None:
    assert Backbone(**arguments).output == output


def test_the_samples_cover_every_argument() -> None:
    assert [field.name for field in dataclasses.fields(Backbone)] == list(OTHERS)


@pytest.mark.parametrize("argument", OTHERS)
def test_the_key_changes_with_every_argument(argument: str) -> None:
    needed: dict[str, Any] = {"include_top": True} if argument == "top_k" else {}
    if argument == "model":
        needed = {"image_size": (64, 64), "preprocess": "raw"}
    assert Backbone(**needed, **{argument: OTHERS[argument]}).key != Backbone(**needed).key


def test_equal_backbones_have_one_key_in_every_process() -> None:
    here = Backbone("mobilenet", backbone_kwargs={"alpha": 0.5, "depth_multiplier": 1}, image_size=(64, 96)).key
    assert Backbone("MobileNet", backbone_kwargs={"depth_multiplier": 1, "alpha": 0.5}, image_size=(64, 96)).key == here
    code = "from transforms import Backbone; print(Backbone('MobileNet', image_size=(64, 96), "
    code += "backbone_kwargs={'alpha': 0.5, 'depth_multiplier': 1}).key)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found == f"{here}\n"
