"""All 40 backbones, each against plain Keras: input size, width, parameters, preprocessing, numbers."""

import math
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import keras
import numpy as np
import pytest

from tests.conftest import exhaustive
from transforms import Backbone
from transforms.backbones import load_backbone, loaded
from transforms.backbones.catalog.facts import catalog_rows

# As keras.io/api/applications documents them, by the beginning of the name; the longest that fits counts.
DOCUMENTED = {
    "ConvNeXt": "in the model",
    "DenseNet": "to 0..1, ImageNet mean and deviation",
    "EfficientNet": "in the model",
    "Inception": "to -1..1",
    "MobileNet": "to -1..1",
    "MobileNetV3": "in the model",
    "NASNet": "to -1..1",
    "ResNet": "BGR, minus ImageNet mean",
    "ResNet50V2": "to -1..1",
    "ResNet101V2": "to -1..1",
    "ResNet152V2": "to -1..1",
    "VGG": "BGR, minus ImageNet mean",
    "Xception": "to -1..1",
}
SMALL, LARGE = 4_100_000, 25_000_000
CHAOTIC = ("EfficientNetV2M", "EfficientNetV2L")
"""With random weights the signal explodes, and Keras itself gives other numbers each way that it is called."""


def documented(name: str) -> str:
    return DOCUMENTED[max((start for start in DOCUMENTED if name.startswith(start)), key=len)]


def preprocessed(pixels: np.ndarray, kind: str) -> np.ndarray:
    x = pixels.astype(np.float32)
    if kind == "to -1..1":
        return x / 127.5 - 1
    if kind == "BGR, minus ImageNet mean":
        return x[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    if kind == "to 0..1, ImageNet mean and deviation":
        return (x / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    return x


@pytest.fixture(autouse=True)
def _forget_models() -> Iterator[None]:
    yield
    loaded._loaded.clear()
    keras.backend.clear_session()


def names(above: int, up_to: float) -> list[str]:
    """Return the backbones whose number of weights lies in a range."""
    return [name for name, row in catalog_rows().items() if above < row.params <= up_to]


def check(name: str, folder: pathlib.Path) -> None:
    row = catalog_rows()[name]
    side = row.side
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(
        weights=None, include_top=False, pooling="avg", input_shape=(side, side, 3)
    )
    assert (model.output_shape[1], model.count_params()) == (row.dim, row.params)
    assert row.preprocessing == documented(name)
    weights = "random"
    if name in CHAOTIC:
        weights = str(folder / "tamed.weights.h5")
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.gamma.assign(0.8 * layer.gamma)
        model.save_weights(weights)
    pixels = np.random.default_rng(1).integers(0, 256, (1, side, side, 3), np.uint8)
    expected = np.asarray(model(preprocessed(pixels, row.preprocessing), training=False))[0].astype(np.float64)
    del model
    (found,) = load_backbone(Backbone(name, weights=weights))(pixels).astype(np.float64)
    assert found.shape == (row.dim,)
    cosine = expected @ found / (np.linalg.norm(expected) * np.linalg.norm(found))
    assert cosine > 0.99999
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(expected), rel=1e-3)


@pytest.mark.parametrize(
    "name",
    [*names(0, SMALL), *exhaustive(*names(SMALL, LARGE))],
)
def test_a_backbone_is_as_keras_documents_it(name: str, tmp_path: pathlib.Path) -> None:
    check(name, tmp_path)


@pytest.mark.large
@pytest.mark.parametrize("name", names(LARGE, math.inf))
def test_a_large_backbone_is_as_keras_documents_it(name: str, tmp_path: pathlib.Path) -> None:
    # TensorFlow keeps gigabytes of each graph until its process ends.
    code = "import pathlib; from tests.end_to_end.test_all_backbones import check; "
    code += f"check({name!r}, pathlib.Path({str(tmp_path)!r}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
