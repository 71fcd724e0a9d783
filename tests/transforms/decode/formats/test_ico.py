"""Icons of 32 bits, byte by byte as Microsoft describes them."""

import struct

import numpy as np
import pytest

from tests.transforms.decode.encoding import whole

SHAPES = [(48, 64), (33, 35), (16, 16)]


def icon(picture: np.ndarray, alpha: np.ndarray, mask: np.ndarray | None, bitfields: bool = False) -> bytes:
    """Return an icon of one bitmap of 32 bits: its pixels, and its mask of one bit if it has one."""
    height, width = alpha.shape
    bgra = np.dstack([picture[..., ::-1], alpha])[::-1].astype(np.uint8).tobytes()
    padded = np.zeros((height, -(-width // 32) * 32), bool)
    if mask is not None:
        padded[:, :width] = mask[::-1]
    bits = np.packbits(padded, axis=1).tobytes() if mask is not None else b""
    header = struct.pack("<IiiHHIIiiII", 40, width, 2 * height, 1, 32, 3 if bitfields else 0, len(bgra), 0, 0, 0, 0)
    header += struct.pack("<III", 0xFF0000, 0xFF00, 0xFF) if bitfields else b""
    image = header + bgra + bits
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, width, height, 0, 0, 1, 32, len(image), 22) + image


def picture_of(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, (*shape, 3))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bitfields", [False, True])
def test_the_mask_says_what_is_transparent_if_alpha_is_0_everywhere(shape: tuple[int, int], bitfields: bool) -> None:
    """The picture was opaque, with whatever colours lie below its mask (3b)."""
    picture, mask = picture_of(shape), np.random.default_rng(1).random(shape) < 0.5
    data = icon(picture, np.zeros(shape), mask, bitfields)
    np.testing.assert_array_equal(whole(data), np.where(mask[..., None], 255, picture))


@pytest.mark.parametrize("shape", SHAPES)
def test_alpha_counts_and_the_mask_does_not_where_there_is_alpha(shape: tuple[int, int]) -> None:
    picture, alpha = picture_of(shape), np.where(np.random.default_rng(2).random(shape) < 0.5, 255, 0)
    data = icon(picture, alpha, np.random.default_rng(1).random(shape) < 0.5)
    np.testing.assert_array_equal(whole(data), np.where(alpha[..., None] == 255, picture, 255))


@pytest.mark.parametrize("mask", [None, np.ones((48, 64), bool), np.zeros((48, 64), bool)])
def test_an_icon_of_which_nothing_would_be_seen_is_opaque(mask: np.ndarray | None) -> None:
    picture = picture_of((48, 64))
    np.testing.assert_array_equal(whole(icon(picture, np.zeros((48, 64)), mask)), picture)


def test_the_largest_of_several_pictures_has_its_own_mask() -> None:
    small, large = picture_of((16, 16)), picture_of((32, 32))
    mask = np.random.default_rng(1).random((32, 32)) < 0.5
    first, second = (icon(picture, np.zeros(picture.shape[:2]), m) for picture, m in ((small, None), (large, mask)))
    entries = [data[6:18] + struct.pack("<I", at) for data, at in ((first, 38), (second, 38 + len(first) - 22))]
    data = struct.pack("<HHH", 0, 1, 2) + b"".join(entries) + first[22:] + second[22:]
    np.testing.assert_array_equal(whole(data), np.where(mask[..., None], 255, large))
