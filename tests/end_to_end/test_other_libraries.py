"""The table at the end of docs/use/models.md: other libraries' preprocessing and its names here, by their own code."""

import io
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from pipelines.options.arguments import a_fraction
from pipelines.options.flags import parser
from pipelines.sample_images import sample_pixels
from tests.end_to_end.torch_libraries import ROWS
from transforms.backbones.preprocessing import parse
from transforms.decode.resizing import resized

ROOT = pathlib.Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "use" / "models.md"
SIDE = 224

Library = Callable[[PIL.Image.Image], Any]
"""A library's own preprocessing: an image -> [H, W, 3], as a network takes it or as a resize leaves it."""


def table() -> dict[str, dict[str, str]]:
    """Return the rows by their first cell, each by the names of its columns."""
    section = PAGE.read_text(encoding="utf-8").split("\n## ")[-1]
    lines = next(part for part in section.split("\n\n") if part.startswith("|")).splitlines()
    header, _, *rows = [line.strip("| ").replace("`", "").split(" | ") for line in lines]
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def keras_mode(name: str) -> Library:
    return lambda image: getattr(keras.applications, name).preprocess_input(np.array(image, np.float32))


def load_img(**arguments: Any) -> Library:
    def load(image: PIL.Image.Image) -> Any:
        file = io.BytesIO()
        image.save(file, "PNG")
        return np.asarray(keras.utils.load_img(file, target_size=(SIDE, SIDE), **arguments), np.float32)

    return load


def tf_resize(**arguments: Any) -> Library:
    return lambda image: tf.image.resize(np.asarray(image), (SIDE, SIDE), **arguments).numpy()


LIBRARIES: dict[str, Library] = {
    "Keras: preprocess_input, mode caffe": keras_mode("resnet"),
    "Keras: mode tf": keras_mode("mobilenet_v2"),
    "Keras: mode torch": keras_mode("densenet"),
    "Keras: in the model": keras_mode("efficientnet"),
    "Keras: load_img(path, target_size=(224, 224))": load_img(),
    "Keras: the same with interpolation": load_img(interpolation="bilinear"),
    "Keras: the same with keep_aspect_ratio": load_img(interpolation="bilinear", keep_aspect_ratio=True),
    "TensorFlow: tf.image.resize(..., antialias=True)": tf_resize(antialias=True),
    "TensorFlow: tf.image.resize; Keras": tf_resize(),
}
"""Of libraries that are installed here, by how a row of the table begins."""

LEVELS = {"exactly": 0.01, "to rounding": 1.01, "to half a pixel": 3.0, "to one pixel": 6.0}
"""Maximum difference, in levels of 0 to 255: of any value; where it is of pixels, of all values in the mean."""
OTHER = 2.5
"""Minimum of the mean difference that is called one."""
SIZES = [(500, 375), (333, 500), (640, 479), (644, 480)]
"""Of the last, libraries cut out different middles: 343 - 224 is odd, and its half is rounded up or down."""


def row_of(name: str) -> dict[str, str]:
    (row,) = (row for start, row in table().items() if start.startswith(name))
    return row


def image(width: int, height: int) -> PIL.Image.Image:
    return PIL.Image.fromarray(sample_pixels(3, width, height, grain=8))


def network_input_as_pixels(values: np.ndarray, preprocess: str) -> np.ndarray:
    """Undo a preprocessing: float [H, W, 3] -> float of 0 to 255, RGB."""
    way = parse("raw" if preprocess == "-" else preprocess)
    pixels = (values * np.array(way.std) + np.array(way.mean)) * way.scale
    return pixels[..., ::-1] if way.bgr else pixels


@pytest.fixture(scope="session")
def of_torch(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], dict[str, np.ndarray]]:
    """What libraries upon PyTorch make of each image, as far as they are installed."""
    folder = tmp_path_factory.mktemp("torch")
    for size in SIZES:
        image(*size).save(folder / f"{size}.png")
    paths = [str(folder / f"{size}.png") for size in SIZES]
    environment = {**os.environ, "USE_TF": "0"}
    command = [sys.executable, "-m", "tests.end_to_end.torch_libraries", *paths]
    subprocess.run(command, check=True, cwd=ROOT, env=environment)
    return {size: dict(np.load(f"{path}.npz")) for size, path in zip(SIZES, paths, strict=True)}


def test_each_row_has_a_library_and_names_values_that_exist() -> None:
    rows = table()
    assert len(rows) == len(LIBRARIES) + len(ROWS)
    assert {row_of(name)["there"] for name in (*LIBRARIES, *ROWS)} == set(rows)
    flags = {f"--{action.dest}": action.choices for action in parser()._actions}
    for row in rows.values():
        for flag in ("--resize", "--resize_filter"):
            assert row[flag] == "-" or row[flag] in flags[flag]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", LIBRARIES)
def test_pixels_are_as_near_as_the_table_says(name: str, size: tuple[int, int]) -> None:
    check(row_of(name), image(*size), LIBRARIES[name](image(*size)))


@pytest.mark.exhaustive
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ROWS)
def test_those_of_libraries_upon_torch_are_too(
    name: str, size: tuple[int, int], of_torch: dict[tuple[int, int], dict[str, np.ndarray]]
) -> None:
    if name not in of_torch[size]:
        pytest.skip("its library is not installed")
    check(row_of(name), image(*size), of_torch[size][name].transpose(1, 2, 0))


def check(row: dict[str, str], source: PIL.Image.Image, values: np.ndarray) -> None:
    """Compare what a library makes of an image with what is made here by the flags of a row."""
    theirs = network_input_as_pixels(values, row["--preprocess"])
    if row["--resize"] == "-":
        np.testing.assert_allclose(theirs, np.asarray(source), atol=LEVELS[row["the same?"]])
        return

    def differences(fraction: float) -> np.ndarray:
        side = int(row["--image_size"])
        ours = resized(source, (side, side), row["--resize"], row["--resize_filter"], fraction)
        return np.abs(theirs - ours.astype(np.float64))

    fraction = a_fraction(row["--central_fraction"])
    found = differences(fraction)
    if row["the same?"] in LEVELS:
        assert (found.mean() if "pixel" in row["the same?"] else found.max()) <= LEVELS[row["the same?"]]
    else:
        assert found.mean() > OTHER
    if fraction != 1:
        assert differences(1).mean() > OTHER
