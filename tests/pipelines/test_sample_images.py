"""Sample images: there, of the size that is said, different, and the same each time."""

import pathlib
import subprocess
import sys

import numpy as np
import PIL.Image

from pipelines.sample_images import HEIGHT, WIDTH, sample_pixels, write_sample_images


def test_samples_are_different_jpegs(tmp_path: pathlib.Path) -> None:
    write_sample_images(str(tmp_path / "made"), 3)
    files = sorted((tmp_path / "made").iterdir())
    assert [file.name for file in files] == ["000000.jpg", "000001.jpg", "000002.jpg"]
    assert len({file.read_bytes() for file in files}) == 3
    for file in files:
        with PIL.Image.open(file) as image:
            assert (image.format, image.size) == ("JPEG", (WIDTH, HEIGHT))


def test_a_seed_gives_the_same_picture_each_time() -> None:
    pixels = sample_pixels(7, 64, 48)
    assert (pixels.shape, pixels.dtype) == ((48, 64, 3), np.uint8)
    np.testing.assert_array_equal(pixels, sample_pixels(7, 64, 48))
    assert pixels.std() > 20


def test_the_command_writes_as_many_as_it_is_told(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "pipelines.sample_images", str(tmp_path / "made"), "2"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["000000.jpg", "000001.jpg"]
