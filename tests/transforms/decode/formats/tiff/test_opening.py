"""What Pillow reads by itself, and what neither can."""

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile

from tests.transforms.decode.formats.tiff.writing import difference, rgb_of, samples_of, unit, written
from transforms import ImageError
from transforms.decode import decode_image


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_few_bits_are_scaled(bits: int, photometric: str) -> None:
    values = (unit(1)[..., 0] * ((1 << bits) - 0.001)).astype(np.uint8)
    data = written(photometric, values.astype(bool) if bits == 1 else values, bitspersample=bits)
    assert difference(data, rgb_of(photometric, values / ((1 << bits) - 1))) < 1


def test_a_palette_gives_its_colors() -> None:
    palette = np.random.RandomState(0).randint(0, 256, (3, 256)).astype(np.uint16) * 257
    indices = (unit(1)[..., 0] * 255).astype(np.uint8)
    file = io.BytesIO()
    tifffile.imwrite(file, indices, photometric="palette", colormap=palette)
    assert difference(file.getvalue(), np.moveaxis(palette[:, indices] / 257, 0, 2)) < 1


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_ycbcr_without_subsampling_gives_the_picture(compression: str | None) -> None:
    """Uncompressed, it was said to be truncated (3b)."""
    y, cb, cr = np.moveaxis(values := (unit(3) * 255).astype(np.uint8), 2, 0).astype(float)
    expected = np.stack(
        [y + 1.402 * (cr - 128), y - 0.344 * (cb - 128) - 0.714 * (cr - 128), y + 1.772 * (cb - 128)], 2
    )
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="ycbcr", subsampling=(1, 1), compression=compression)
    assert difference(file.getvalue(), np.clip(expected, 0, 255)) < 1.5


@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
def test_jpeg_in_a_tiff_gives_the_picture(photometric: str) -> None:
    values = samples_of("rgb" if photometric == "rgb" else "minisblack", "uint8")
    data = written(photometric, values, compression="jpeg", compressionargs={"level": 98})
    assert difference(data, rgb_of(photometric, tifffile.imread(io.BytesIO(data)) / 255)) < 3


@pytest.mark.parametrize(
    ("samples", "options", "says"),
    [
        (np.zeros((9, 9, 3), np.float64), {"photometric": "rgb"}, "3 x 64-bit float"),
        (np.zeros((9, 9), np.uint64), {"photometric": "minisblack"}, "1 x 64-bit unsigned"),
        (np.zeros((9, 9), np.float16), {"photometric": "minisblack"}, "1 x 16-bit float"),
        (
            np.zeros((9, 9, 3), np.float32),
            {"photometric": "rgb", "predictor": 3, "compression": "zlib"},
            "compression 8",
        ),
        (np.zeros((9, 9, 7), np.uint8), {"photometric": "minisblack", "planarconfig": "contig"}, "7 x 8-bit unsigned"),
        (np.zeros((9, 9), np.complex64), {"photometric": "minisblack"}, "1 x 64-bit"),
    ],
)
def test_what_cannot_be_read_is_named(samples: np.ndarray, options: dict[str, Any], says: str) -> None:
    """A TIFF was said to be in none of the formats, TIFF among them (3d)."""
    file = io.BytesIO()
    tifffile.imwrite(file, samples, **options)
    with pytest.raises(ImageError, match=says) as error:
        decode_image(file.getvalue(), [(8, 8)])
    assert error.value.reason == "unsupported_color"


def test_an_unknown_compression_is_named() -> None:
    data = written("minisblack", samples_of("minisblack", "uint8"), compression="zlib")
    place = data.index(struct.pack("<HHIH", 259, 3, 1, 8))
    with pytest.raises(ImageError, match="compression 34712") as error:
        decode_image(data[: place + 8] + struct.pack("<H", 34712) + data[place + 10 :], [(8, 8)])
    assert error.value.reason == "unsupported_compression"
