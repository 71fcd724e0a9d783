"""Colour maps of 16 bits, and of 8 bits as old software wrote them."""

import io

import numpy as np
import pytest
import tifffile

from tests.transforms.decode.encoding import whole
from tests.transforms.decode.formats.tiff.writing import unit

COLORS = np.random.RandomState(0).randint(0, 256, (3, 256)).astype(np.uint16)
INDICES = (unit(1)[..., 0] * 255).astype(np.uint8)


@pytest.mark.parametrize("scale", [1, 256, 257])
@pytest.mark.parametrize("compression", [None, "lzw"])
def test_a_color_map_of_8_or_16_bits_gives_its_colors(scale: int, compression: str | None) -> None:
    """One of 8-bit numbers gave black (3b)."""
    file = io.BytesIO()
    tifffile.imwrite(file, INDICES, photometric="palette", colormap=COLORS * scale, compression=compression)
    file.seek(0)
    page = tifffile.TiffFile(file).pages[0]
    expected = np.moveaxis(page.colormap[:, page.asarray()] // scale, 0, 2)
    np.testing.assert_array_equal(whole(file.getvalue()), expected)


def test_a_dark_color_map_of_16_bits_stays_dark() -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, INDICES, photometric="palette", colormap=COLORS + 1)
    assert whole(file.getvalue()).max() <= 1
