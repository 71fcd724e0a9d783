"""Raw photos, told from pictures with overviews."""

import io
from typing import Any

import numpy as np
import pytest
import tifffile

from tests.transforms.decode.formats.tiff.writing import difference, rgb_of, samples_of
from transforms import ImageError
from transforms.decode import decode_image


@pytest.mark.parametrize("tag", [{"extratags": [(50706, 1, 4, b"\1\4\0\0", True)]}, {"subifds": 1}])
def test_a_raw_photo_is_not_embedded_from_its_thumbnail(tag: dict[str, Any]) -> None:
    """A DNG became the embedding of a picture of 16 x 12 px (3e)."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        tiff.write(np.zeros((12, 16, 3), np.uint8), photometric="rgb", subfiletype=1, **tag)
        tiff.write(np.zeros((96, 128), np.uint16), photometric="cfa" if tag else "minisblack")
    with pytest.raises(ImageError, match="only its thumbnail") as error:
        decode_image(file.getvalue(), [(8, 8)])
    assert error.value.reason == "unsupported_raw"


def test_overviews_of_a_whole_image_do_not_make_it_a_raw_photo() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        tiff.write(samples_of("rgb", "uint8"), photometric="rgb", subifds=1)
        tiff.write(np.zeros((9, 9, 3), np.uint8), photometric="rgb", subfiletype=1)
    assert difference(file.getvalue(), rgb_of("rgb", samples_of("rgb", "uint8") / 255)) < 1
