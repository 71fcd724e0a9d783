"""Models of timm, torchvision and Hugging Face, exported by PyTorch to ONNX: their vectors are PyTorch's."""

import importlib.util
import pathlib
import subprocess
import sys

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest

from pipelines.command import main
from pipelines.sample_images import sample_pixels
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
    # Mode torch: ImageNet's mean and standard deviation.
    values = (np.stack(pixels) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
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
    rows = sorted(pq.read_table(tmp_path / "out" / "parquet").to_pylist(), key=lambda row: row["uri"])
    found = np.array([row["embedding"] for row in rows], np.float64)
    expected = np.load(exported / f"{name}.npy").astype(np.float64)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
