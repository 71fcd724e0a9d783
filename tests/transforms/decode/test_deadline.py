"""A decoder that computes too long is ended, and the image is a failure."""

import time

import numpy as np
import PIL.Image
import pytest

from tests.conftest import sample_image
from tests.transforms.decode.encoding import encoded
from transforms import ImageError
from transforms.decode.deadline import MAX_SECONDS, TimedFile


@pytest.fixture(autouse=True)
def _any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests leave the limit of the last image that they decoded."""
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", None)


OVER = -1.0
"""A time that no thread has still before it."""


def test_a_file_reads_as_any_other() -> None:
    file = TimedFile(b"abcdef")
    assert (file.read(2), file.read(), file.getvalue()) == (b"ab", b"cdef", b"abcdef")
    assert 0 < file.until - time.thread_time() <= MAX_SECONDS


def test_nothing_is_read_once_the_time_is_over() -> None:
    with pytest.raises(ImageError, match="within 60 s") as error:
        TimedFile(b"abcdef", OVER).read(1)
    assert (error.value.reason, error.value.transient) == ("too_slow", False)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF"])
def test_decoders_are_ended_between_two_pieces_of_their_input(file_format: str) -> None:
    """A file of a few MB kept a thread for minutes (4a)."""
    noise = PIL.Image.fromarray(np.random.RandomState(0).randint(0, 256, (400, 400, 3)).astype(np.uint8))
    file = TimedFile(encoded(noise, file_format))
    image = PIL.Image.open(file)
    file.until = OVER
    with pytest.raises(ImageError) as error:
        image.load()
    assert error.value.reason == "too_slow"


@pytest.mark.parametrize("file_format", ["WEBP", "AVIF"])
def test_decoders_that_take_all_bytes_at_once_are_not_ended(file_format: str) -> None:
    """As it is documented: their number of pixels bounds them."""
    file = TimedFile(encoded(sample_image(1), file_format))
    image = PIL.Image.open(file)
    file.until = OVER
    image.load()
