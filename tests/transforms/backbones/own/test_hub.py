"""Models of Keras Hub count as Keras' own where it is installed, but for what reads files."""

import json
import pathlib
import zipfile

import keras
import numpy as np
import pytest

from tests.transforms.backbones.own.conftest import PIXELS, SIDE, cosine, refused, rewritten
from transforms.backbones import load_backbone, own_backbone
from transforms.backbones.own import hub


def test_without_keras_hub_its_layers_are_refused_with_what_installs_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras.Sequential([keras.Input((SIDE, SIDE, 3)), keras.layers.Flatten()]).save(tmp_path / "mine.keras")

    def of_hub(config: dict) -> None:
        config["config"]["layers"][-1].update(
            {
                "class_name": "ViTEncoder",
                "module": "keras_hub.src.models.vit",
                "registered_name": "keras_hub>ViTEncoder",
            }
        )

    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda name: None)
    said = refused(rewritten(tmp_path / "mine.keras", of_hub))
    assert "holds ViTEncoder, which is of Keras Hub; pip install keras-hub" in said


@pytest.mark.parametrize("name", ["ByteTokenizer", "ViTImageClassifierPreprocessor"])
def test_what_reads_files_is_refused(name: str) -> None:
    assert hub.why_unknown(name) == "reads files"


@pytest.mark.parametrize("nested", [False, True])
def test_a_preset_s_backbone_gives_the_vectors_of_keras_hub(nested: bool, tmp_path: pathlib.Path) -> None:
    keras_hub = pytest.importorskip("keras_hub", reason="Keras Hub is not installed", exc_type=ImportError)
    base = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 32],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(SIDE, SIDE, 3),
    )
    image = keras.Input((SIDE, SIDE, 3))
    model = keras.Model(image, base(keras.layers.Rescaling(1 / 255)(image))) if nested else base
    model.save(tmp_path / "mine.keras")
    with zipfile.ZipFile(tmp_path / "mine.keras") as archive:
        assert "keras_hub>ResNetBackbone" in json.dumps(json.loads(archive.read("config.json")))
    backbone = own_backbone(str(tmp_path / "mine.keras"), preprocess="" if nested else "unit")
    expected = base.predict(PIXELS / np.float32(255), verbose=0).mean((1, 2))
    assert cosine(load_backbone(backbone)(PIXELS), expected) > 0.99999
    assert hub.why_unknown("NoSuchBackbone") == "the Keras Hub that is installed does not have"
