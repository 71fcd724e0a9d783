"""TIFFs that are read some rows at a time, against tifffile."""

import io
from typing import Any

import numpy as np
import pytest
import tifffile

from tests.transforms.decode.formats.tiff.writing import HEIGHT, WIDTH, difference, rgb_of, samples_of, written
from transforms import ImageError
from transforms.decode import decode_image
from transforms.decode.formats.tiff import pieces
from transforms.decode.formats.tiff.directory import Directory
from transforms.decode.formats.tiff.pieces import Pieces
from transforms.decode.formats.tiff.samples import Samples

CONTAINERS: list[dict[str, Any]] = [
    {},
    {"rowsperstrip": 5},
    {"rowsperstrip": 37, "compression": "zlib"},
    {"rowsperstrip": 5, "compression": "lzw", "byteorder": ">"},
    {"tile": (16, 32)},
    {"tile": (32, 16), "compression": "zlib"},
]


@pytest.mark.parametrize("at_once", [1, 3 * WIDTH, 400 * WIDTH])
@pytest.mark.parametrize("type_", ["uint16", "uint32", "float32", "int8"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("options", CONTAINERS)
def test_however_few_rows_are_read_at_a_time_the_picture_is_the_same(
    at_once: int, type_: str, planar: bool, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three planes of 32 bits were held at once: 17 bytes for each pixel (4a)."""
    monkeypatch.setattr(pieces, "_SAMPLES", at_once)
    data = written("rgba", samples_of("rgba", type_), planar, **options)
    read = tifffile.imread(io.BytesIO(data))
    top = 1 if type_ == "float32" else np.iinfo(type_).max
    assert difference(data, rgb_of("rgba", (np.moveaxis(read, 0, 2) if planar else read) / top)) < 1.5


@pytest.mark.parametrize("options", CONTAINERS)
def test_pieces_hold_each_row_once_and_are_small(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_SAMPLES", 10 * WIDTH)
    data = written("rgb", samples_of("rgb", "uint16"), **options)
    divided = Pieces(Samples(Directory(data)))
    rows = [row for piece in divided(0) for row in range(piece.top, piece.top + piece.height)]
    assert rows == list(range(HEIGHT))
    assert max(piece.height * WIDTH * 3 for piece in divided(0)) <= divided.largest
    if "compression" not in options and "tile" not in options:
        assert divided.largest <= 10 * WIDTH


@pytest.mark.parametrize("count", [3, 40])
@pytest.mark.parametrize("options", CONTAINERS)
def test_the_samples_of_a_pixel_are_not_counted_as_pixels(count: int, options: dict[str, Any]) -> None:
    """Width times samples was taken for the width (4a)."""
    values = np.broadcast_to(samples_of("minisblack", "float32")[..., None], (HEIGHT, WIDTH, count))
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="minisblack", planarconfig="contig", **options)
    facts, by_size = decode_image(file.getvalue(), [(HEIGHT, WIDTH)], "stretch", max_pixels=HEIGHT * WIDTH)
    assert (facts.height, facts.width) == (HEIGHT, WIDTH)
    assert np.abs(by_size[HEIGHT, WIDTH] - rgb_of("minisblack", values[..., 0])).mean() < 1


def test_a_strip_of_more_samples_than_may_be_held_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pixel may have thousands of samples (4a)."""
    monkeypatch.setattr(pieces, "_SAMPLES", 100)
    data = written("rgb", samples_of("rgb", "float32"), compression="zlib", rowsperstrip=37)
    with pytest.raises(ImageError, match=f"a strip or tile of {HEIGHT * WIDTH * 3} samples") as error:
        decode_image(data, [(8, 8)], max_pixels=HEIGHT * WIDTH)
    assert error.value.reason == "too_many_pixels"
    # Uncompressed, a strip can be divided.
    assert difference(written("rgb", samples_of("rgb", "float32")), rgb_of("rgb", samples_of("rgb", "float32"))) < 1.5
