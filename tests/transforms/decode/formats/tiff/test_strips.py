"""Strips and tiles that are not there, or not whole."""

import io
from typing import Any

import numpy as np
import pytest
import tifffile

from tests.transforms.decode.encoding import reason_of
from tests.transforms.decode.formats.tiff.writing import difference, rgb_of, samples_of, written
from transforms import ImageError
from transforms.decode import decode_image
from transforms.decode.formats.tiff.directory import Directory
from transforms.decode.formats.tiff.rewriting import with_directory
from transforms.decode.formats.tiff.tags import Tag

KINDS: list[dict[str, Any]] = [
    {"rowsperstrip": 5},
    {"rowsperstrip": 5, "planar": True},
    {"rowsperstrip": 5, "compression": "lzw"},
    {"rowsperstrip": 5, "compression": "zlib", "planar": True},
    {"rowsperstrip": 8, "compression": "jpeg"},
    {"tile": (16, 16)},
    {"tile": (16, 16), "planar": True},
    {"tile": (16, 16), "compression": "zlib"},
    {"tile": (16, 16), "compression": "jpeg"},
]


def changed(options: dict[str, Any], starts: dict[int, int], lengths: dict[int, int], keep: int | None = None) -> bytes:
    """Return a TIFF whose strips or tiles begin elsewhere, have other lengths, or are fewer."""
    data = written("rgb", samples_of("rgb", "uint8"), **options)
    directory = Directory(data)
    tags = {int(tag): list(directory.numbers(tag)) for tag in Tag if tag in directory}
    for tag, changes in (
        (Tag.STRIPS, starts),
        (Tag.TILES, starts),
        (Tag.STRIP_BYTES, lengths),
        (Tag.TILE_BYTES, lengths),
    ):
        if tag in tags:
            for i, number in changes.items():
                tags[tag][i] = number
            tags[tag] = tags[tag][:keep]
    return with_directory(data, "<", tags)


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize(
    ("starts", "lengths", "keep", "says"),
    [
        ({}, {}, 1, "missing"),
        ({}, {}, -1, "missing"),
        ({}, {2: 0}, None, "missing"),
        ({-1: 10**8}, {}, None, "lie behind"),
    ],
)
def test_a_strip_that_is_missing_is_not_made_of_other_bytes(
    options: dict[str, Any], starts: dict[int, int], lengths: dict[int, int], keep: int | None, says: str
) -> None:
    """In planes, other bytes became pixels; compressed, the file was said to be corrupt (3b)."""
    with pytest.raises(ImageError, match=says) as refused:
        decode_image(changed(options, starts, lengths, keep), [(16, 16)])
    assert refused.value.reason == "truncated"


@pytest.mark.parametrize("options", [kind for kind in KINDS if kind.get("compression") in (None, "jpeg")])
@pytest.mark.parametrize("place", [1, -1])
def test_a_short_strip_is_not_made_of_other_bytes(options: dict[str, Any], place: int) -> None:
    """What follows a short strip became pixels, or libjpeg's grey did (3b)."""
    assert reason_of(changed(options, {}, {place: 20})) == "truncated"


@pytest.mark.parametrize("options", KINDS)
def test_whole_strips_are_read(options: dict[str, Any]) -> None:
    data = changed(options, {}, {})
    values = tifffile.imread(io.BytesIO(data))
    values = np.moveaxis(values, 0, 2) if options.get("planar") else values
    assert difference(data, rgb_of("rgb", values / 255)) < 1


@pytest.mark.parametrize("length", [1, 10**8])
def test_the_length_of_a_single_strip_may_be_wrong(length: int) -> None:
    """As libtiff and tifffile have it: the size of the picture says how long it is (3b)."""
    values = samples_of("rgb", "uint8")
    np.testing.assert_array_less(
        difference(changed({"rowsperstrip": 37}, {}, {0: length}), rgb_of("rgb", values / 255)), 1
    )
