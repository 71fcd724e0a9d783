"""JPEGs of unusual processes and samples, written and read by imagecodecs."""

import imagecodecs
import numpy as np
import pytest

from tests.conftest import sample_image
from tests.transforms.decode.encoding import decoded, encoded, whole
from transforms import ImageError
from transforms.decode.formats.jpeg import Frame, frames, may_be_reduced, unread_samples

PICTURE = np.asarray(sample_image(2, 128, 96))
BASELINE = encoded(sample_image(2, 128, 96), "JPEG")


@pytest.mark.parametrize("bands", [1, 3])
def test_a_lossless_jpeg_is_not_reduced(bands: int) -> None:
    """Reduced while it was decoded, it ended the process (4a)."""
    picture = PICTURE if bands == 3 else np.ascontiguousarray(PICTURE[..., 0])
    data = imagecodecs.jpeg8_encode(picture, lossless=True, colorspace="RGB" if bands == 3 else None)
    assert not may_be_reduced(data)
    read = imagecodecs.jpeg8_decode(data).reshape(96, 128, bands)
    np.testing.assert_array_equal(whole(data), np.broadcast_to(read, (96, 128, 3)))
    assert np.abs(decoded(data, (4, 4), resize="stretch").astype(int).mean() - read.mean()) < 2


@pytest.mark.parametrize("bands", [1, 3])
def test_12_bits_are_named(bands: int) -> None:
    """They were said to be corrupt (3b)."""
    samples = (PICTURE if bands == 3 else PICTURE[..., 0]).astype(np.uint16) * 16
    data = imagecodecs.jpeg8_encode(samples, bitspersample=12)
    assert imagecodecs.jpeg8_decode(data).shape == samples.shape
    with pytest.raises(ImageError, match="a JPEG of 12 bits per sample") as error:
        decoded(data)
    assert error.value.reason == "unsupported_color"


def test_two_components_are_named() -> None:
    """They were said to be corrupt (3b)."""
    at = BASELINE.index(b"\xff\xc0") + 9
    with pytest.raises(ImageError, match="a JPEG of 2 components") as error:
        decoded(BASELINE[:at] + b"\2" + BASELINE[at + 1 :])
    assert error.value.reason == "unsupported_color"


def test_usual_jpegs_are_reduced() -> None:
    assert list(frames(BASELINE)) == [Frame(0xC0, 8, 3)]
    progressive = encoded(sample_image(2, 128, 96), "JPEG", progressive=True)
    assert list(frames(progressive)) == [Frame(0xC2, 8, 3)]
    for data in (BASELINE, progressive, b"", b"\xff\xd8", BASELINE[:30]):
        assert may_be_reduced(data)
        assert unread_samples(data) == ""
