"""Keras as its weights were trained, whatever the user has set."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from transforms.backbones.catalog.facts import catalog_rows
from transforms.backbones.graph.keras_applications import constructor, constructors, keras, preprocess_of


def test_the_constructors_are_those_of_the_catalog() -> None:
    assert constructors() == sorted(catalog_rows())
    for name in constructors():
        assert constructor(name) is getattr(keras.applications, name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ResNet50", [67 - 103.939, 45 - 116.779, 123 - 123.68]),
        ("ResNet50V2", [123 / 127.5 - 1, 45 / 127.5 - 1, 67 / 127.5 - 1]),
        ("DenseNet121", [(123 / 255 - 0.485) / 0.229, (45 / 255 - 0.456) / 0.224, (67 / 255 - 0.406) / 0.225]),
        ("EfficientNetB0", [123, 45, 67]),
    ],
)
def test_each_constructor_has_the_preprocessing_of_its_own_module(name: str, expected: list[float]) -> None:
    pixel = np.array([[[[123, 45, 67]]]], np.float32)
    np.testing.assert_allclose(np.ravel(preprocess_of(name)(pixel)), expected, rtol=1e-5)


@pytest.mark.exhaustive
def test_settings_of_the_user_s_do_not_reach_the_backbones(tmp_path: pathlib.Path) -> None:
    settings = {"backend": "jax", "floatx": "float16", "epsilon": 1e-7, "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    code = """if True:
        from transforms.backbones.graph.keras_applications import keras
        print(keras.config.backend(), keras.config.floatx(), keras.config.image_data_format())
    """
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "torch"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.stdout.split() == ["tensorflow", "float32", "channels_last"], result.stderr[-2000:]
