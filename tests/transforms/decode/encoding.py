"""Encoded pictures for the tests of decoding."""

import io
import zlib

import numpy as np
import PIL.Image
import pytest

from transforms import ImageError
from transforms.decode import decode_image


def encoded(image: PIL.Image.Image, file_format: str, **options: object) -> bytes:
    """Encode an image by Pillow."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def decoded(data: bytes, size: tuple[int, int] = (48, 64), **options: object) -> np.ndarray:
    """Decode at one size."""
    return decode_image(data, [size], **options)[1][size]


def whole(data: bytes, **options: object) -> np.ndarray:
    """Decode without resizing: uint8 [H, W, 3] at the image's own size."""
    facts, _ = decode_image(data, [(1, 1)], **options)
    # A size that large switches the reduction of JPEGs off.
    return decode_image(data, [(facts.height, facts.width)], "stretch", **options)[1][facts.height, facts.width]


def reason_of(data: bytes, **options: object) -> str:
    """Return the reason for which an image is lost."""
    with pytest.raises(ImageError) as error:
        decoded(data, **options)
    assert "\n" not in str(error.value)
    return error.value.reason


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """Return a PNG chunk."""
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)
