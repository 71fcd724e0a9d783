"""Whatever the bytes are, decoding gives pixels or an ImageError with a known reason: nothing else fails the run."""

import hashlib
import io
from collections.abc import Mapping

import numpy as np
import PIL.Image
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.conftest import sample_image
from transforms.core.elements import ImageFacts, Size
from transforms.core.errors import ImageError
from transforms.core.failures import REASONS
from transforms.core.spec import RESIZES
from transforms.decode import decode_image

MAX_PIXELS = 20_000
SIZES = [(8, 8), (6, 10)]
MAGIC = (
    *(b"\xff\xd8\xff\xe0\0\x10JFIF\0", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"GIF89a", b"RIFF\x24\0\0\0WEBPVP8 ", b"BM"),
    *(b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"\0\0\0\x1cftypavif", b"P6 3 3 255 ", b"Pf\n3 3\n-1\n", b"\0\0\1\0\1\0"),
)


def encoded(format_: str, **options: object) -> bytes:
    """Encode a small picture, turned by EXIF."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    sample_image(3, 40, 30).save(file, format_, exif=exif, **options)
    return file.getvalue()


IMAGES = {
    "JPEG": encoded("JPEG", quality=80),
    "progressive JPEG": encoded("JPEG", progressive=True),
    "PNG": encoded("PNG"),
    "WEBP": encoded("WEBP"),
    "GIF": encoded("GIF"),
    "TIFF": encoded("TIFF", compression="tiff_lzw"),
}

# The first bytes decide most, and the others are many.
POSITIONS = st.integers(0, 60) | st.integers(0, 10_000)
CHANGES = st.lists(st.tuples(POSITIONS, st.sampled_from(["set", "flip", "insert", "cut"]), st.binary(max_size=4)))


def mutated(data: bytes, changes: list[tuple[int, str, bytes]], length: int | None) -> bytes:
    """Return bytes with changes at some positions, of at most `length`."""
    found = bytearray(data)
    for position, what, new in changes:
        at = position % (len(found) + 1)
        if what == "set":
            found[at : at + len(new)] = new
        elif what == "insert":
            found[at:at] = new
        elif what == "cut":
            del found[at : at + len(new)]
        elif at < len(found):
            found[at] ^= 1 << (len(new) + at) % 8
    return bytes(found[:length])


def outcome_of(data: bytes, resize: str) -> tuple[ImageFacts, Mapping[Size, np.ndarray]] | ImageError:
    try:
        return decode_image(data, SIZES, resize, MAX_PIXELS)
    except ImageError as e:
        return e


def decodes_or_says_why(data: bytes, resize: str = "crop") -> None:
    """Decode bytes, and check what comes of it."""
    outcome = outcome_of(data, resize)
    if isinstance(outcome, ImageError):
        assert outcome.reason in REASONS
        assert str(outcome).strip()
        assert "\n" not in str(outcome)
        return
    facts, by_size = outcome
    assert 0 < facts.width * facts.height <= MAX_PIXELS
    assert facts.format
    assert facts.sha256 == hashlib.sha256(data).hexdigest()
    assert list(by_size) == SIZES
    for size, pixels in by_size.items():
        assert (pixels.shape, pixels.dtype) == ((*size, 3), np.uint8)


@given(st.binary(max_size=200), st.sampled_from((b"", *MAGIC)))
@example(b"", b"")
def test_any_bytes_are_an_image_or_have_a_reason(data: bytes, magic: bytes) -> None:
    decodes_or_says_why(magic + data)


@pytest.mark.parametrize("data", IMAGES.values(), ids=IMAGES)
@given(CHANGES, st.none() | st.integers(0, 3000), st.sampled_from(RESIZES))
@example([], None, "crop")
@example([], 1000, "pad")
def test_a_damaged_image_is_an_image_or_has_a_reason(
    data: bytes, changes: list[tuple[int, str, bytes]], length: int | None, resize: str
) -> None:
    decodes_or_says_why(mutated(data, changes, length), resize)


@pytest.mark.parametrize("data", IMAGES.values(), ids=IMAGES)
def test_the_images_that_are_damaged_are_whole_before(data: bytes) -> None:
    facts, _ = decode_image(data, [(8, 8)])
    assert (facts.width, facts.height) in ((30, 40), (40, 30))
