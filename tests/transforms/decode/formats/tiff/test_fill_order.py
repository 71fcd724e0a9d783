"""Bits from the lowest up, against tifffile."""

import io
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tifffile

from tests.transforms.decode.formats.tiff.writing import difference, rgb_of, samples_of, unit, written
from transforms.decode.deadline import TimedFile
from transforms.decode.formats.tiff.directory import Directory
from transforms.decode.formats.tiff.fill_order import turned
from transforms.decode.formats.tiff.rewriting import with_directory
from transforms.decode.formats.tiff.tags import Tag

TURNED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)).reshape(256, 8)[:, ::-1], axis=1).tobytes()


def from_the_lowest(data: bytes) -> bytes:
    """Return a TIFF with the bits of its strips turned, and a tag that says so."""
    directory = Directory(data)
    tags = {int(tag): directory.numbers(tag) for tag in Tag if tag in directory}
    return with_directory(data.translate(TURNED), directory.order, {**tags, Tag.FILL_ORDER: [2]})


@pytest.mark.parametrize("layout", ["minisblack", "miniswhite", "rgb", "rgba", "grey alpha", "cmyk"])
@pytest.mark.parametrize("type_", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"compression": "lzw"}, {"compression": "zlib"}])
def test_every_kind_of_samples_is_turned(layout: str, type_: str, options: dict[str, Any]) -> None:
    """All but the simplest were said to be corrupt (3b)."""
    data = from_the_lowest(written(layout, samples_of(layout, type_), **options))
    values = tifffile.imread(io.BytesIO(data))
    np.testing.assert_array_equal(values, samples_of(layout, type_))
    top = 1 if type_.startswith("float") else np.iinfo(type_).max
    assert difference(data, rgb_of(layout, values / top)) < 1.5


def test_planes_are_turned() -> None:
    """They were said to be corrupt (3b)."""
    values = samples_of("rgb", "uint16")
    assert difference(from_the_lowest(written("rgb", values, planar=True)), rgb_of("rgb", values / 65535)) < 1.5


@pytest.mark.parametrize("compression", [None, "ccitt_t6"])
def test_two_tones_are_turned_once(compression: str | None) -> None:
    """Fax decoders turn the bits themselves (3b)."""
    values = unit(1)[..., 0] < 0.5
    if compression:
        file = io.BytesIO()
        PIL.Image.fromarray(values).save(file, "TIFF", compression="group4")
        data = from_the_lowest(file.getvalue())
    else:
        data = from_the_lowest(written("minisblack", values))
    assert difference(data, rgb_of("minisblack", values)) < 1


def test_a_usual_file_stays_as_it_is() -> None:
    file = TimedFile(written("rgb", samples_of("rgb", "uint8")))
    assert turned(file) is file
