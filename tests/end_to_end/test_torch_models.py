"""Models of timm, torchvision and Hugging Face, exported by PyTorch to ONNX: their vectors are PyTorch's."""

import importlib.util
import pathlib
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from pipelines.command import main
from pipelines.sample_images import sample_pixels
from tests.end_to_end.test_all_backbones import preprocessed
from tests.end_to_end.test_embed_images import table_of
from tests.end_to_end.torch_models import EXPORTERS, IMAGES, MODELS, SIDE

ROOT = pathlib.Path(__file__).parent.parent.parent
COUNT = 4


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with photos, which need no resizing, and with the models of the libraries that are installed."""
    if not importlib.util.find_spec("torch"):
        pytest.skip("torch is not installed: it installs CUDA, gigabytes of it")
    folder = tmp_path_factory.mktemp("torch")
    (folder / "photos").mkdir()
    pixels = [sample_pixels(i, SIDE, SIDE, grain=8) for i in range(COUNT)]
    for i, one in enumerate(pixels):
        PIL.Image.fromarray(one).save(folder / "photos" / f"{i}.png")
    values = preprocessed(np.stack(pixels), "to 0..1, ImageNet mean and deviation")
    np.save(folder / IMAGES, values.transpose(0, 3, 1, 2).astype(np.float32))
    subprocess.run([sys.executable, "-m", "tests.end_to_end.torch_models", str(folder)], check=True, cwd=ROOT)
    return folder


@pytest.mark.exhaustive
@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", MODELS)
def test_an_exported_model_gives_the_vectors_of_pytorch(
    name: str, exporter: str, exported: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    if not (exported / f"{name}.npy").exists():
        pytest.skip("its library is not installed")
    _, flags = MODELS[name]
    model = ["--model", str(exported / name / exporter), "--preprocess", "torch", "--engine", "openvino", *flags]
    assert main(["--input", str(exported / "photos"), "--output", str(tmp_path / "out"), *model]) == 0
    found = np.stack(table_of(tmp_path / "out")["embedding"]).astype(np.float64)
    expected = np.load(exported / f"{name}.npy").astype(np.float64)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
