"""Thumbnails are small JPEGs of what the backbone sees; what cannot be had says so."""

import base64
import io
import pathlib

import numpy as np
import PIL.Image
import pytest

from pipelines.similar.thumbnails import HEIGHT, thumbnails_of
from tests.conftest import sample_image
from tests.fake_backbone import spec
from tests.pipelines.similar.conftest import Made, settings_of


def opened(data_uri: str) -> PIL.Image.Image:
    head, _, data = data_uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return PIL.Image.open(io.BytesIO(base64.b64decode(data, validate=True)))


@pytest.mark.parametrize(
    ("image_size", "size"), [((224, 224), (160, 160)), ((32, 64), (160, 320)), ((100, 1), (160, 2))]
)
def test_a_picture_has_the_shape_of_the_backbone_s_input(
    image_size: tuple[int, int], size: tuple[int, int], made_once: Made
) -> None:
    uri = str(made_once.photos / "0.jpg")
    found = thumbnails_of([uri, uri], settings_of(made_once, "--to", uri), spec(image_size=image_size))
    assert found.keys() == {uri}
    assert found[uri].size == size
    assert opened(found[uri].data_uri).size == size[::-1]


def test_a_picture_shows_what_the_backbone_sees(tmp_path: pathlib.Path, made_once: Made) -> None:
    """Cropped, the ends of a wide image are not there."""
    wide = np.zeros((160, 480, 3), np.uint8)
    wide[:, :160], wide[:, 160:320], wide[:, 320:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    PIL.Image.fromarray(wide).save(tmp_path / "wide.png")
    uri = str(tmp_path / "wide.png")
    for resize, left in (("crop", (0, 255, 0)), ("stretch", (255, 0, 0)), ("pad", (255, 0, 0))):
        found = thumbnails_of([uri], settings_of(made_once, "--to", uri), spec(resize=resize))[uri]
        pixel = opened(found.data_uri).getpixel((8, HEIGHT // 2))
        np.testing.assert_allclose(pixel, left, atol=12)


def test_a_picture_shows_no_more_than_the_middle_that_the_backbone_sees(
    tmp_path: pathlib.Path, made_once: Made
) -> None:
    framed = np.full((400, 400, 3), 255, np.uint8)
    framed[40:360, 40:360] = (0, 0, 255)
    PIL.Image.fromarray(framed).save(tmp_path / "framed.png")
    uri = str(tmp_path / "framed.png")
    for fraction, corner in ((1.0, (255, 255, 255)), (0.75, (0, 0, 255))):
        found = thumbnails_of([uri], settings_of(made_once, "--to", uri), spec(central_fraction=fraction))[uri]
        assert found.size == (HEIGHT, HEIGHT)
        np.testing.assert_allclose(opened(found.data_uri).getpixel((0, 0)), corner, atol=12)


def test_what_cannot_be_had_says_why_and_costs_no_other_picture(tmp_path: pathlib.Path, made_once: Made) -> None:
    sample_image(0).save(tmp_path / "good.jpg")
    (tmp_path / "bad.jpg").write_text("no image")
    uris = [str(tmp_path / name) for name in ("good.jpg", "bad.jpg", "gone.jpg")]
    found = thumbnails_of([*uris, "http://127.0.0.1:1/a.jpg"], settings_of(made_once, "--to", uris[0]), spec())
    assert [bool(one.data_uri) for one in found.values()] == [True, False, False, False]
    lacks = [one.lack.partition(":")[0] for one in found.values()]
    assert lacks == ["", "not_an_image", "not_found", "forbidden_address"]


def test_the_limits_of_a_run_hold(tmp_path: pathlib.Path, made_once: Made) -> None:
    sample_image(0).save(tmp_path / "a.jpg")
    uri = str(tmp_path / "a.jpg")
    for flag, reason in (("--max_image_bytes", "too_many_bytes"), ("--max_image_pixels", "too_many_pixels")):
        settings = settings_of(made_once, "--to", uri, flag, 10)
        assert thumbnails_of([uri], settings, spec())[uri].lack.startswith(f"{reason}:")
