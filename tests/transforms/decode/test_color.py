"""Colour: alpha, frames, profiles, against values that are calculated here or read by other libraries."""

import struct
from collections.abc import Callable

import cv2
import imagecodecs
import numpy as np
import PIL.Image
import pytest
from PIL import ImageCms

from tests.conftest import sample_image
from tests.transforms.decode.encoding import encoded, reason_of, whole

PICTURE = np.asarray(sample_image(2, 64, 48))


def bmp_32(alpha: np.ndarray) -> bytes:
    """Return a BMP of 32 bits with a V5 header, whose fourth byte is declared as alpha."""
    bgra = np.dstack([PICTURE[..., ::-1], alpha])[::-1].astype(np.uint8).tobytes()
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 124, 64, 48, 1, 32, 3, len(bgra), 2835, 2835, 0, 0) + masks
    header = header.ljust(124, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + 124 + len(bgra), 0, 0, 14 + 124) + header + bgra


def ico_32(alpha: np.ndarray) -> bytes:
    """Return an icon of one image of 32 bits."""
    bgra = np.dstack([PICTURE[..., ::-1], alpha])[::-1].astype(np.uint8).tobytes()
    image = struct.pack("<IiiHHIIiiII", 40, 64, 96, 1, 32, 0, len(bgra), 0, 0, 0, 0) + bgra + bytes(48 * 8)
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 64, 48, 0, 0, 1, 32, len(image), 22) + image


@pytest.mark.parametrize("make", [bmp_32, ico_32])
def test_alpha_that_is_0_everywhere_is_none(make: Callable[[np.ndarray], bytes]) -> None:
    """Opaque bitmaps, whose writers leave the fourth byte at 0, became white (3c)."""
    np.testing.assert_array_equal(whole(make(np.zeros((48, 64)))), PICTURE)


@pytest.mark.parametrize("make", [bmp_32, ico_32])
def test_alpha_that_is_not_0_everywhere_lies_over_white(make: Callable[[np.ndarray], bytes]) -> None:
    alpha = np.zeros((48, 64))
    alpha[:24] = 255
    expected = np.where(alpha[..., None] == 255, PICTURE, 255)
    np.testing.assert_array_equal(whole(make(alpha)), expected)


def test_a_picture_without_any_opaque_pixel_is_white_elsewhere() -> None:
    transparent = PIL.Image.fromarray(np.dstack([PICTURE, np.zeros((48, 64), np.uint8)]))
    for file_format in ("PNG", "WEBP"):
        assert (whole(encoded(transparent, file_format)) == 255).all(), file_format


def test_the_canvas_around_the_first_frame_of_a_gif_is_empty() -> None:
    """It had the first colour of the palette (3c)."""
    palette = bytes([10, 20, 200, 255, 0, 0])
    header = b"GIF89a" + struct.pack("<HH", 64, 48) + b"\x80\0\0" + palette
    descriptor = b"\x2c" + struct.pack("<HHHH", 16, 12, 32, 24) + b"\0"
    picture = whole(header + descriptor + lzw_of_ones(32 * 24) + b"\x3b")
    expected = np.full((48, 64, 3), 255)
    expected[12:36, 16:48] = (255, 0, 0)
    np.testing.assert_array_equal(picture, expected)


def lzw_of_ones(count: int) -> bytes:
    """Return GIF pixel data of the index 1, uncompressed: a clear code before every second pixel."""
    clear, end, bits = 4, 5, ""
    for i in range(count):
        bits = (f"{1:03b}{clear:03b}" if i % 2 == 0 else f"{1:03b}") + bits
    bits = f"{end:03b}" + bits
    data = int(bits, 2).to_bytes(-(-len(bits) // 8), "little")
    blocks = [data[i : i + 255] for i in range(0, len(data), 255)]
    return b"\2" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def test_a_bitmap_that_pillow_misreads_is_refused() -> None:
    """Four bits in run lengths came out shifted (3b)."""
    rows = b"".join(bytes([64, 0x12, 0, 0]) for _ in range(48)) + b"\0\1"
    palette = bytes(range(64))
    header = struct.pack("<IiiHHIIiiII", 40, 64, 48, 1, 4, 2, len(rows), 0, 0, 16, 16)
    data = b"BM" + struct.pack("<IHHI", 54 + 64 + len(rows), 0, 0, 54 + 64) + header + palette + rows
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (48, 64, 3)
    assert reason_of(data) == "unsupported_color"


@pytest.mark.parametrize("extension", [".bmp", ".ppm", ".pgm", ".pbm", ".webp", ".avif", ".jpg", ".gif"])
def test_what_opencv_writes_is_read_as_opencv_reads_it(extension: str) -> None:
    """Each format has an oracle that is not Pillow."""
    bgr = np.ascontiguousarray(PICTURE[..., ::-1])
    samples = bgr if extension not in (".pgm", ".pbm") else np.uint8(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY))
    done, data = cv2.imencode(extension, samples)
    assert done
    read = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    assert np.abs(whole(data.tobytes()) - read).mean() <= (0 if extension in (".bmp", ".ppm", ".pgm", ".pbm") else 2)


@pytest.mark.parametrize("codec", ["webp", "avif", "jpeg"])
def test_what_imagecodecs_writes_is_read_as_imagecodecs_reads_it(codec: str) -> None:
    data = getattr(imagecodecs, f"{codec}_encode")(PICTURE, level=90)
    read = getattr(imagecodecs, f"{codec}_decode")(data).astype(int)
    assert np.abs(whole(bytes(data)) - read).mean() <= 2


def test_16_bit_ppm_and_pgm_are_scaled() -> None:
    samples = np.random.RandomState(0).randint(0, 65536, (20, 30, 3)).astype(">u2")
    for magic, values in ((b"P6", samples), (b"P5", samples[..., :1])):
        data = magic + b" 30 20 65535\n" + values.tobytes()
        assert np.abs(whole(data) - values / 257).max() <= 1


D65, D50 = np.array([0.9505, 1, 1.0890]), np.array([0.9642, 1, 0.8249])
SRGB = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
"""XYZ of sRGB's primaries, adapted to D50 (Lindbloom)."""
WIDE = np.array(
    [[0.6097559, 0.2052401, 0.1492240], [0.3111242, 0.6256560, 0.0632197], [0.0194811, 0.0608902, 0.7448387]]
)
"""The same of Adobe RGB (1998)."""
GAMMA = 563 / 256


def s15(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def profile(matrix: np.ndarray, gamma: float) -> bytes:
    """Return an ICC profile of three primaries and a gamma, by the specification (ICC.1:2001)."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = {b"wtpt": b"XYZ " + bytes(4) + b"".join(map(s15, D50)), b"cprt": b"text" + bytes(4) + b"none\0\0\0\0"}
    tags[b"desc"] = b"desc" + bytes(4) + struct.pack(">I", 5) + b"wide\0" + bytes(79)
    for i, name in enumerate((b"r", b"g", b"b")):
        tags[name + b"XYZ"] = b"XYZ " + bytes(4) + b"".join(map(s15, matrix[:, i]))
        tags[name + b"TRC"] = curve
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content = content.ljust(-(-len(content) // 4) * 4, b"\0")
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"test", 0x02400000, b"mntr", b"RGB ", b"XYZ ") + bytes(12)
    head += b"acsp" + bytes(28) + b"".join(map(s15, D50)) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


def to_srgb(rgb: np.ndarray) -> np.ndarray:
    """Convert Adobe RGB to sRGB by their definitions: uint8 -> float, 0 to 255."""
    linear = (rgb / 255) ** GAMMA @ WIDE.T @ np.linalg.inv(SRGB).T
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_a_profile_is_applied_if_it_is_asked_for_and_ignored_otherwise(file_format: str) -> None:
    """Photos of phones and cameras have wider colours; their embeddings were 0.99 and less from sRGB's (3e)."""
    lossless = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(file_format, {})
    data = encoded(PIL.Image.fromarray(PICTURE), file_format, icc_profile=profile(WIDE, GAMMA), **lossless)
    assert np.abs(whole(data).astype(int) - PICTURE).mean() <= 1
    assert np.abs(whole(data, color_profile="apply") - to_srgb(PICTURE)).mean() <= 1.5
    assert np.abs(to_srgb(PICTURE) - PICTURE).mean() > 5


def test_a_profile_reaches_grey_alpha_and_planes() -> None:
    alpha = PIL.Image.fromarray(np.dstack([PICTURE, np.full((48, 64), 255, np.uint8)]))
    data = encoded(alpha, "PNG", icc_profile=profile(WIDE, GAMMA))
    assert np.abs(whole(data, color_profile="apply") - to_srgb(PICTURE)).mean() <= 1.5


@pytest.mark.parametrize("broken", [b"", b"no profile", profile(WIDE, GAMMA)[:200]])
def test_a_profile_that_cannot_be_used_is_ignored(broken: bytes) -> None:
    for mode in ("RGB", "L", "CMYK"):
        data = encoded(PIL.Image.fromarray(PICTURE).convert(mode), "TIFF", icc_profile=broken)
        np.testing.assert_array_equal(whole(data, color_profile="apply"), whole(data))


def test_a_profile_for_other_colors_is_ignored() -> None:
    data = encoded(PIL.Image.fromarray(PICTURE).convert("CMYK"), "TIFF", icc_profile=profile(WIDE, GAMMA))
    np.testing.assert_array_equal(whole(data, color_profile="apply"), whole(data))


def test_srgb_itself_changes_nothing() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(PIL.Image.fromarray(PICTURE), "PNG", icc_profile=srgb)
    assert np.abs(whole(data, color_profile="apply").astype(int) - PICTURE).max() <= 1
