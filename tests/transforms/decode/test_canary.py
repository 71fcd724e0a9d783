"""The hash of what the decoders make of known files: pinned, and another for each way to decode."""

import base64
import hashlib
import io
from typing import Any

import numpy as np
import PIL.Image
import pytest

from transforms import DecodeImages
from transforms.core.elements import ImageFacts, Size
from transforms.core.errors import ImageError
from transforms.decode.canary import FILES, decoding_hash

SIZE = (64, 64)
PINNED = "471babf3e00c39305cec1ac575aeacea64bc1f83f4b3c1bd141d8c61ebfe848a"


def hash_of(**how: Any) -> str:
    return decoding_hash(DecodeImages([SIZE], **how).function.decoded, SIZE)


def test_it_is_pinned() -> None:
    """Where a change of the pixels is meant, `PIXELS_POLICY` changes too."""
    assert hash_of() == PINNED


def test_each_file_is_of_the_format_of_its_name() -> None:
    for name, text in FILES.items():
        assert PIL.Image.open(io.BytesIO(base64.b64decode(text))).format == name.upper()


def test_each_way_to_decode_has_another() -> None:
    ways = [{}, {"resize": "stretch"}, {"resize": "pad"}, {"resize_filter": "bicubic"}, {"resize_filter": "nearest"}]
    ways += [{"central_fraction": 0.875}, {"central_fraction": 0.9}]
    assert len({hash_of(**way) for way in ways}) == len(ways)


@pytest.mark.parametrize("name", FILES)
def test_one_number_of_one_file_that_is_off_by_one_gives_another(name: str) -> None:
    decode = DecodeImages([SIZE]).function.decoded

    def off_by_one(data: bytes) -> tuple[ImageFacts, dict[Size, np.ndarray]]:
        facts, by_size = decode(data)
        if data == base64.b64decode(FILES[name]):
            by_size[SIZE] = by_size[SIZE].copy()
            by_size[SIZE][31, 7, 1] ^= 1
        return facts, by_size

    assert decoding_hash(off_by_one, SIZE) != PINNED


def test_a_format_that_cannot_be_decoded_counts_by_its_reason() -> None:
    def without_decoders(data: bytes) -> tuple[ImageFacts, dict[Size, np.ndarray]]:
        raise ImageError("not_an_image", "no decoder")

    assert decoding_hash(without_decoders, SIZE) == hashlib.sha256(b"not_an_image" * len(FILES)).hexdigest()
