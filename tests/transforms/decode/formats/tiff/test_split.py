"""Samples of every kind, written and read by tifffile: the picture is right, or the refusal says why."""

import io
import itertools
from typing import Any

import numpy as np
import pytest
import tifffile

from tests.transforms.decode.formats.tiff.writing import (
    BANDS,
    HEIGHT,
    WIDTH,
    difference,
    rgb_of,
    samples_of,
    tiff,
    unit,
    written,
)
from transforms import ImageError
from transforms.decode import decode_image

TYPES = ("uint8", "uint16", "uint32", "float32")
LAYOUTS = ("minisblack", "miniswhite", "rgb", "rgba", "rgba premultiplied", "grey alpha", "cmyk")
PLAIN = {"compression": None}
SMALL = ({"compression": "zlib"}, {"compression": "lzw", "tile": (16, 32)}, {"tile": (32, 16)}, {"rowsperstrip": 5})
"""What the kinds of samples are crossed with by default."""


def is_right(layout: str, type_: str, planar: bool, options: dict[str, Any]) -> bool:
    """Whether a TIFF gives what tifffile reads in it; an ImageError passes on."""
    data = written(layout, samples_of(layout, type_), planar, **options)
    read = tifffile.imread(io.BytesIO(data))
    read = np.moveaxis(read, 0, 2) if planar and read.ndim == 3 else read
    top = 1 if type_.startswith("float") else np.iinfo(type_).max
    return difference(data, rgb_of(layout, read.astype(float) / top)) < 1.5


KINDS = [
    (layout, type_, planar)
    for layout, type_, planar in itertools.product(LAYOUTS, TYPES, (False, True))
    if not planar or layout in BANDS
]


@pytest.mark.parametrize(("layout", "type_", "planar"), KINDS)
def test_samples_of_every_kind_give_the_picture(layout: str, type_: str, planar: bool) -> None:
    """Planar and inverted 16-bit samples, floats and the like gave another picture in silence (3b)."""
    for options in (PLAIN, *SMALL):
        assert is_right(layout, type_, planar, options), options


@pytest.mark.exhaustive
@pytest.mark.parametrize(("layout", "type_", "planar"), KINDS)
def test_samples_of_every_kind_in_every_container_are_right_or_refused(layout: str, type_: str, planar: bool) -> None:
    """The same for each byte order, compression, predictor, tiling and BigTIFF (3b)."""
    for order, compression, predictor, tile, big in itertools.product(
        "<>", (None, "lzw", "zlib", "packbits", "lzma", "zstd"), (False, True), (None, (16, 32)), (False, True)
    ):
        if predictor and compression in (None, "packbits"):
            continue
        options = {"byteorder": order, "compression": compression, "predictor": predictor, "tile": tile, "bigtiff": big}
        # Side by side, samples are grey samples only without a predictor; Pillow itself reads the usual ones.
        usual = type_ == "uint8" or (type_ == "uint16" and layout != "grey alpha")
        if predictor and not planar and layout in BANDS and (not usual or (big and order == ">")):
            with pytest.raises(ImageError, match="a TIFF of"):
                is_right(layout, type_, planar, options)
        else:
            assert is_right(layout, type_, planar, options), options


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_12_bits_are_not_taken_for_16(order: str, photometric: str) -> None:
    """They were 16 times too dark (3b)."""
    values = (unit(1)[..., 0] * 4095).astype(np.uint16)
    rows = [int("".join(f"{value:012b}" for value in row).ljust(WIDTH * 12 + 4, "0"), 2) for row in values]
    strip = b"".join(row.to_bytes((WIDTH * 12 + 4) // 8) for row in rows)
    tags = {256: WIDTH, 257: HEIGHT, 258: 12, 259: 1, 262: int(photometric == "minisblack"), 278: HEIGHT}
    assert difference(tiff(order, tags, strip), rgb_of(photometric, values / 4095)) < 1


def test_numbers_that_are_not_finite_are_black_and_do_not_decide_the_range() -> None:
    """One pixel of infinity made all others black (3b)."""
    values = unit(1)[..., 0].astype(np.float32)
    values[0, :3] = np.inf, -np.inf, np.nan
    finite = np.nan_to_num(values, posinf=0, neginf=0)
    assert difference(written("minisblack", values), rgb_of("minisblack", finite)) < 1


@pytest.mark.parametrize("type_", ["int8", "int16", "int32"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(("layout", "planar"), [("minisblack", False), ("miniswhite", False), ("rgb", 0), ("rgb", 1)])
def test_signed_numbers_have_one_rule(
    type_: str, order: str, compression: str | None, layout: str, planar: int
) -> None:
    """8 bits below 0 were the lightest, 16 bits half as light as 32 (3b)."""
    signed = (2 * samples_of(layout, "float32") - 1) * np.iinfo(type_).max * 0.999
    data = written(layout, signed.astype(type_), bool(planar), byteorder=order, compression=compression)
    read = tifffile.imread(io.BytesIO(data))
    values = np.clip(np.moveaxis(read, 0, 2) if planar else read, 0, None) / np.iinfo(type_).max
    assert difference(data, rgb_of(layout, values)) < 1.5


def test_signed_32_bit_numbers_of_16_bits_are_taken_as_such() -> None:
    """Pillow writes 16-bit pictures like that (3b)."""
    values = samples_of("minisblack", "uint16")
    assert difference(written("minisblack", values.astype(np.int32)), rgb_of("minisblack", values / 65535)) < 1


def test_samples_without_meaning_are_left_out() -> None:
    values = samples_of("rgba", "uint16")
    for planar in (False, True):
        data = np.moveaxis(values, 2, 0) if planar else values
        file = io.BytesIO()
        config = "separate" if planar else "contig"
        tifffile.imwrite(file, data, photometric="rgb", planarconfig=config, extrasamples=["unspecified"])
        assert difference(file.getvalue(), rgb_of("rgb", values[..., :3] / 65535)) < 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_read_in_planes_is_turned_too(orientation: int) -> None:
    values = samples_of("rgb", "uint16")
    data = written("rgb", values, True, extratags=[(274, 3, 1, orientation, True)])
    turned = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
        8: lambda a: np.rot90(a, 1),
    }[orientation](rgb_of("rgb", values / 65535))
    facts, by_size = decode_image(data, [turned.shape[:2]], "stretch")
    assert (facts.height, facts.width) == turned.shape[:2]
    assert np.abs(by_size[turned.shape[:2]] - turned).mean() < 1


@pytest.mark.parametrize("white", [1.0, 1.0001, 255.0, 65535.0])
@pytest.mark.parametrize("planar", [False, True])
def test_floats_of_each_usual_range_give_the_picture_whatever_the_range_of_alpha(white: float, planar: bool) -> None:
    """(3b) A resampling overshoots 1, and the picture would be black."""
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    picture[0, 0] = 255
    samples = np.concatenate([picture / 255 * white, np.ones((16, 16, 1))], axis=2).astype(np.float32)
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        np.moveaxis(samples, 2, 0) if planar else samples,
        photometric="rgb",
        planarconfig="separate" if planar else "contig",
        extrasamples=["unassalpha"],
    )
    _, by_size = decode_image(file.getvalue(), [(16, 16)])
    np.testing.assert_allclose(by_size[16, 16], picture, atol=1)
