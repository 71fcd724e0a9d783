"""PNGs of every bit depth and layout, written and read by imagecodecs and OpenCV; transparency and text."""

import itertools
import zlib

import cv2
import imagecodecs
import numpy as np
import pytest

from tests.conftest import sample_image
from tests.transforms.decode.encoding import chunk, encoded, whole
from transforms.decode.deadline import TimedFile
from transforms.decode.formats.png import transparent_pixels, without_text
from transforms.decode.opening import open_image

HEIGHT, WIDTH = 13, 21
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
DEPTHS = [(GREY, b) for b in (1, 2, 4, 8, 16)] + [(PALETTE, b) for b in (1, 2, 4, 8)]
DEPTHS += [(kind, b) for kind in (RGB, GREY_ALPHA, RGBA) for b in (8, 16)]
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""Row, column and steps of the passes of an interlaced PNG (Adam7)."""


def rows_of(samples: np.ndarray, bits: int) -> bytes:
    """Pack samples [H, W, C] into the rows of a PNG, each without a filter."""
    packed = b""
    for row in samples.reshape(len(samples), -1):
        text = "".join(f"{value:0{bits}b}" for value in row)
        packed += b"\0" + int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8))
    return packed


def png(samples: np.ndarray, kind: int, bits: int, *, interlaced: bool = False, extra: bytes = b"") -> bytes:
    """Write a PNG by its specification: samples [H, W, C]; `extra` are chunks before the pixels."""
    height, width = samples.shape[:2]
    header = width.to_bytes(4) + height.to_bytes(4) + bytes([bits, kind, 0, 0, interlaced])
    parts = [samples[y::dy, x::dx] for y, x, dy, dx in PASSES] if interlaced else [samples]
    pixels = b"".join(rows_of(part, bits) for part in parts if part.size)
    body = extra + chunk(b"IDAT", zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND")


def samples_of(kind: int, bits: int) -> np.ndarray:
    """Return samples that differ in every pixel and channel."""
    return np.random.RandomState(bits).randint(0, 1 << bits, (HEIGHT, WIDTH, CHANNELS[kind]))


COLORS = np.random.RandomState(1).randint(0, 256, (256, 3))


def expected_of(samples: np.ndarray, kind: int, bits: int) -> np.ndarray:
    """Return the picture on white that samples stand for: float [H, W, 3]."""
    if kind == PALETTE:
        return COLORS[samples[..., 0]].astype(float)
    values = samples / ((1 << bits) - 1)
    alpha = values[..., -1:] if kind in (GREY_ALPHA, RGBA) else 1
    color = values[..., :-1] if kind in (GREY_ALPHA, RGBA) else values
    return np.broadcast_to(255 * (color * alpha + 1 - alpha), (*samples.shape[:2], 3))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("kind", "bits"), DEPTHS)
def test_every_depth_and_layout_gives_the_picture(kind: int, bits: int, interlaced: bool) -> None:
    samples = samples_of(kind, bits)
    extra = chunk(b"PLTE", COLORS[: 1 << bits].astype(np.uint8).tobytes()) if kind == PALETTE else b""
    data = png(samples, kind, bits, interlaced=interlaced, extra=extra)
    assert np.abs(whole(data) - expected_of(samples, kind, bits)).max() <= 2
    if kind != PALETTE and bits >= 8:
        # The picture is what another decoder finds in the same bytes.
        read = imagecodecs.png_decode(data).reshape(samples.shape)
        np.testing.assert_array_equal(read, samples)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("kind", "bits"), [depth for depth in DEPTHS if depth[0] in (GREY, RGB)])
def test_the_transparent_color_is_that_of_the_samples_and_no_other(kind: int, bits: int, interlaced: bool) -> None:
    """It was lost in 16 bits, and another one than it is in 2 and 4 (3c)."""
    samples = samples_of(kind, bits)
    transparent = samples[5, 5].copy()
    samples[7:9, 3:6] = transparent
    # Differs in the last bit alone.
    samples[10, 10] = transparent ^ (np.arange(CHANNELS[kind]) == 0)
    trns = chunk(b"tRNS", b"".join(int(value).to_bytes(2) for value in transparent))
    data = png(samples, kind, bits, interlaced=interlaced, extra=trns)
    mask = (samples == transparent).all(axis=2)
    expected = np.where(mask[..., None], 255, expected_of(samples, kind, bits))
    assert np.abs(whole(data) - expected).max() <= 2
    file = TimedFile(data)
    np.testing.assert_array_equal(transparent_pixels(open_image(file), file), mask)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_with_alpha_lies_over_white(bits: int) -> None:
    samples, entries = samples_of(PALETTE, bits), 1 << bits
    alphas = np.arange(entries) * 255 // (entries - 1)
    extra = chunk(b"PLTE", COLORS[:entries].astype(np.uint8).tobytes()) + chunk(b"tRNS", bytes(alphas.tolist()))
    alpha = alphas[samples] / 255
    expected = COLORS[samples[..., 0]] * alpha + 255 * (1 - alpha)
    data = png(samples, PALETTE, bits, extra=extra)
    assert np.abs(whole(data) - expected).max() <= 2
    file = TimedFile(data)
    assert transparent_pixels(open_image(file), file) is None


def test_opencv_writes_what_is_read() -> None:
    for type_, channels in itertools.product((np.uint8, np.uint16), (1, 3, 4)):
        samples = np.random.RandomState(0).randint(0, np.iinfo(type_).max, (HEIGHT, WIDTH, channels)).astype(type_)
        data = cv2.imencode(".png", samples)[1].tobytes()
        bits = np.iinfo(type_).bits
        kind = {1: GREY, 3: RGB, 4: RGBA}[channels]
        order = [2, 1, 0, 3][:channels] if channels > 1 else [0]
        assert np.abs(whole(data) - expected_of(samples[..., order].astype(int), kind, bits)).max() <= 2


def texts() -> dict[str, bytes]:
    much = bytes(3_000_000)
    return {
        "tEXt": chunk(b"tEXt", b"Comment\0" + much),
        "zTXt": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(much)),
        "iTXt": chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(much)),
        "profile": chunk(b"iCCP", b"p\0\0" + zlib.compress(much)),
    }


@pytest.mark.parametrize("kind", texts())
def test_long_texts_and_profiles_do_not_lose_the_picture(kind: str) -> None:
    """Over 1 MB of text made a good picture `corrupt` (3d)."""
    plain = encoded(sample_image(1, 64, 48), "PNG")
    for place in (33, len(plain) - 12):
        data = plain[:place] + texts()[kind] + plain[place:]
        np.testing.assert_array_equal(whole(data), whole(plain))


def test_only_text_is_left_out_and_exif_in_text_stays() -> None:
    plain = encoded(sample_image(1), "PNG")
    exif = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n      0\n"))
    pieces = [plain[:33], texts()["zTXt"], exif, texts()["tEXt"], plain[33:]]
    assert without_text(b"".join(pieces)) == plain[:33] + exif + plain[33:]
    assert without_text(plain) is plain
    assert without_text(b"\xff\xd8 no PNG") == b"\xff\xd8 no PNG"
