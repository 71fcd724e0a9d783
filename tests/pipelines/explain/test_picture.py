"""The picture is the pixels, to the last bit."""

import pathlib

import numpy as np
import PIL.Image
import pytest

from pipelines.explain.picture import write_picture
from transforms.core.errors import UsageError

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def test_the_pixels_are_those_of_the_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "seen.png").write_text("to be replaced")
    write_picture(str(tmp_path / "seen.png"), PIXELS)
    with PIL.Image.open(tmp_path / "seen.png") as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), PIXELS)
    assert [path.name for path in tmp_path.iterdir()] == ["seen.png"]


def test_a_file_in_the_way_is_one_line(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UsageError, match=f"^cannot write --out {tmp_path}/file/seen.png: "):
        write_picture(f"{tmp_path}/file/seen.png", PIXELS)
