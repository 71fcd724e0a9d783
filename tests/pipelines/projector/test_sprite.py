"""The sprite image: each picture in its place, within what the projector takes; one that is lost costs no other."""

import pathlib

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.options.commands.projector import Settings, parse
from pipelines.projector.sprite import GREY, LARGEST, SIDE, grid_of, sprite_of
from tests.fake_backbone import spec

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]


@pytest.fixture
def settings() -> Settings:
    return parse(["--embeddings", "made", "--out", "shown"])


def images(folder: pathlib.Path) -> list[str]:
    """One image of each colour."""
    paths = [str(folder / f"{i}.png") for i in range(len(COLOURS))]
    for path, colour in zip(paths, COLOURS, strict=True):
        PIL.Image.new("RGB", (90, 120), colour).save(path)
    return paths


def drawn(pixels: np.ndarray, index: int, side: int = 64) -> np.ndarray:
    """Return what the projector draws at a point, as its vertex shader looks it up."""
    height, width, _ = pixels.shape
    x, y = index % (width // side), index // (height // side)
    return pixels[y * side : (y + 1) * side, x * side : (x + 1) * side]


@given(st.integers(1, 100_000))
def test_every_point_has_its_place_within_what_the_projector_takes(points: int) -> None:
    columns, side = grid_of(points)
    assert (columns - 1) ** 2 < points <= columns**2
    assert columns * side <= LARGEST
    assert 1 <= side <= SIDE


def test_as_many_as_fit_have_the_whole_side() -> None:
    assert [grid_of(n)[1] for n in (1, 10_000, 16_384, 16_385, 100_000)] == [64, 64, 64, 63, 25]


def test_pictures_stand_row_by_row(tmp_path: pathlib.Path, settings: Settings) -> None:
    sprite = sprite_of(images(tmp_path), settings, spec())
    assert (sprite.side, sprite.pixels.shape) == (64, (192, 192, 3))
    assert not sprite.lacks
    for i, colour in enumerate(COLOURS):
        assert (drawn(sprite.pixels, i) == colour).all(), i
    assert all((drawn(sprite.pixels, i) == GREY).all() for i in range(5, 9))


def test_a_picture_that_is_not_square_is_whole_in_its_square(tmp_path: pathlib.Path, settings: Settings) -> None:
    sprite = sprite_of(images(tmp_path)[:1], settings, spec(image_size=(32, 64)))
    assert (sprite.pixels[16:48] == COLOURS[0]).all()
    assert (sprite.pixels[:16] == GREY).all()
    assert (sprite.pixels[48:] == GREY).all()


def test_what_cannot_be_had_is_grey_and_counted_by_its_reason(tmp_path: pathlib.Path, settings: Settings) -> None:
    paths = images(tmp_path)
    (tmp_path / "1.png").unlink()
    (tmp_path / "2.png").write_text("no image")
    (tmp_path / "3.png").unlink()
    sprite = sprite_of(paths, settings, spec())
    assert sprite.lacks == {"not_found": 2, "not_an_image": 1}
    assert [tuple(drawn(sprite.pixels, i)[32, 32]) for i in (0, 4)] == [COLOURS[0], COLOURS[4]]
    assert all((drawn(sprite.pixels, i) == GREY).all() for i in (1, 2, 3))


def test_the_file_is_a_jpeg_of_the_same_size(tmp_path: pathlib.Path, settings: Settings) -> None:
    sprite = sprite_of(images(tmp_path), settings, spec())
    sprite.write(str(tmp_path / "sprite"))
    with PIL.Image.open(tmp_path / "sprite") as image:
        assert (image.format, image.size) == ("JPEG", (192, 192))
        np.testing.assert_allclose(np.asarray(image)[32, 32], COLOURS[0], atol=4)
