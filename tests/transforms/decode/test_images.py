"""The stage: pixels apart from failures, its arguments checked when it is made."""

import apache_beam as beam
import numpy as np
import PIL.Image
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from tests.conftest import sample_image
from tests.fake_backbone import spec
from tests.transforms.decode.encoding import encoded
from transforms import DecodeImages, Image, ImageUri
from transforms.decode.images import decode_from_spec

SIZE = (48, 64)


def test_decode_images_splits_pixels_from_failures() -> None:
    good = Image(ImageUri("good", {"label": 1}), encoded(sample_image(1), "PNG"))
    bad = Image(ImageUri("bad"), b"nothing")
    with beam.Pipeline(runner=FnApiRunner()) as p:
        pixels, undecoded = p | beam.Create([good, bad]) | DecodeImages([SIZE, SIZE])
        assert_that(
            pixels | "Facts" >> beam.Map(lambda p: (p.source, p.by_size[SIZE].shape)),
            equal_to([(good.source, (*SIZE, 3))]),
        )
        assert_that(
            undecoded | "Reasons" >> beam.Map(lambda f: (f.source.uri, f.stage, f.reason)),
            equal_to([("bad", "decode", "not_an_image")]),
            label="failures",
        )


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(ValueError, match="'squash'"):
        DecodeImages(resize="squash")
    with pytest.raises(ValueError, match="positive"):
        DecodeImages([(0, 5)])
    with pytest.raises(ValueError, match="is 'cubic'"):
        DecodeImages(resize_filter="cubic")
    with pytest.raises(ValueError, match="color_profile must be one of ignore, apply, is 'srgb'"):
        DecodeImages(color_profile="srgb")
    for fraction in (0, 1.01, -1, float("nan")):
        with pytest.raises(ValueError, match=r"central_fraction must be from 0\.01 to 1, is"):
            DecodeImages(central_fraction=fraction)
    for resize in ("stretch", "pad"):
        with pytest.raises(ValueError, match=f"central_fraction is for resize='crop', not '{resize}'"):
            DecodeImages(resize=resize, central_fraction=0.875)


def test_every_argument_reaches_the_pixels() -> None:
    image = Image(ImageUri("a"), encoded(PIL.Image.fromarray(np.eye(8, dtype=np.uint8) * 255), "PNG"))
    plain = DecodeImages([(4, 4)]).function(image).by_size[4, 4]
    nearest = DecodeImages([(4, 4)], resize_filter="nearest").function(image).by_size[4, 4]
    assert set(np.unique(nearest)) == {0, 255}
    assert not np.array_equal(plain, nearest)
    function = DecodeImages([(4, 4)], "pad", 99, "area", "apply").function
    assert (function.sizes, function.resize, function.max_image_pixels) == (((4, 4),), "pad", 99)
    assert (function.resize_filter, function.color_profile) == ("area", "apply")
    middle = DecodeImages([(4, 4)], central_fraction=0.5).function(image).by_size[4, 4]
    np.testing.assert_array_equal(middle[..., 0], np.eye(4, dtype=np.uint8) * 255)


def test_what_a_spec_says_decodes_as_the_run_did_that_made_it() -> None:
    """Also where the run had a larger backbone beside: a JPEG was reduced towards its size."""
    image = Image(ImageUri("a"), encoded(sample_image(2, 1600, 1200), "JPEG"))
    run = DecodeImages([(64, 48), (256, 256)], "pad", 10**7, "area", "apply").function
    said = spec(image_size=(64, 48), decoded_for=(256, 256), resize="pad", resize_filter="area", color_profile="apply")
    pixels = decode_from_spec(said, 10**7)(image).by_size[64, 48]
    np.testing.assert_array_equal(pixels, run(image).by_size[64, 48])
    alone = DecodeImages([(64, 48)], "pad", 10**7, "area", "apply").function
    assert not np.array_equal(pixels, alone(image).by_size[64, 48])


def test_what_is_cut_out_of_the_middle_is_what_the_run_cut_out() -> None:
    """The size towards which JPEGs are reduced is that of the whole, which the spec does not say twice."""
    image = Image(ImageUri("a"), encoded(sample_image(2, 1600, 1200), "JPEG"))
    run = DecodeImages([(64, 48), (256, 256)], central_fraction=0.9).function
    said = decode_from_spec(spec(image_size=(64, 48), decoded_for=(256, 256), central_fraction=0.9), 10**8)
    np.testing.assert_array_equal(said(image).by_size[64, 48], run(image).by_size[64, 48])
    assert said.opened(image.data).image.size == run.opened(image.data).image.size == (800, 600)
