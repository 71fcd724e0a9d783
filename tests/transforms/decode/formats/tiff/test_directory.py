"""Directories in both byte orders and sizes."""

import pytest

from tests.transforms.decode.formats.tiff.writing import samples_of, written
from transforms import ImageError
from transforms.decode import decode_image
from transforms.decode.formats.tiff import is_tiff


def test_a_directory_behind_the_end_is_said_to_be_truncated() -> None:
    data = written("minisblack", samples_of("minisblack", "uint8"))
    for length in (9, 60):
        with pytest.raises(ImageError) as error:
            decode_image(data[:length], [(8, 8)])
        assert error.value.reason == "truncated"
    assert not is_tiff(b"II")
