"""What tests of backbones share: one small backbone, by this project and by plain Keras."""

import pathlib

import keras
import numpy as np
import pytest

from transforms import Backbone
from transforms.backbones import load_backbone
from transforms.backbones.engines import ENGINES, SAVED_MODELS
from transforms.core.errors import UsageError

SMALL = {"name": "MobileNet", "backbone_kwargs": {"alpha": 0.25}, "image_size": (64, 64)}
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
KERAS_ENGINES = [name for name, entry in ENGINES.items() if SAVED_MODELS in entry.reads]
"""Engines that compute what Keras and TensorFlow build."""
SUFFIXES = [".weights.h5", ".h5", ".keras"]
"""Of the files that Keras keeps weights in."""


def plain(model: keras.Model, pixels: np.ndarray = PIXELS) -> np.ndarray:
    """Return what Keras alone makes of pixels with a MobileNet."""
    return model.predict(keras.applications.mobilenet.preprocess_input(pixels.astype("float32")), verbose=0)


def assert_same(found: object, expected: object, rtol: float = 1e-4) -> None:
    """Compare numbers by the largest that is expected: the vectors of random weights are as small as 1e-16."""
    largest = np.abs(expected).max()
    assert largest > 0
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-5 * largest)


def usage_error(**arguments: object) -> str:
    """Return the one line in which a backbone that cannot be loaded is refused."""
    with pytest.raises(UsageError) as error:
        load_backbone(Backbone(**arguments))
    assert "\n" not in str(error.value)
    return str(error.value)


def save(model: keras.Model, path: pathlib.Path) -> None:
    """Write the kind of file that the suffix stands for."""
    model.save_weights(path) if path.name.endswith(".weights.h5") else model.save(path)


@pytest.fixture(scope="session")
def model() -> keras.Model:
    """A small MobileNet with weights of its own."""
    keras.utils.set_random_seed(7)
    return keras.applications.MobileNet(
        alpha=0.25, weights=None, include_top=False, pooling="avg", input_shape=(64, 64, 3)
    )


@pytest.fixture
def own_cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A cache folder that nobody else uses; it is not there yet."""
    monkeypatch.setenv("EMBED_IMAGES_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def own_keras_home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """An empty folder for Keras' downloads, also those of this process."""
    from keras.src.backend import config

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path))
    return tmp_path
