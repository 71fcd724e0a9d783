"""TIFFs of every kind of samples, written and read by tifffile: the picture is right, or the refusal says why."""

import io
import itertools
import struct
from typing import Any

import numpy as np
import pytest
import tifffile

from transforms import ImageError
from transforms.decode import decode_image
from transforms.decode.formats.tiff import Directory, Samples, is_tiff

HEIGHT, WIDTH = 37, 53
TYPES = ("uint8", "uint16", "uint32", "float32")
LAYOUTS = ("minisblack", "miniswhite", "rgb", "rgba", "rgba premultiplied", "grey alpha", "cmyk")
BANDS = {"rgb": 3, "rgba": 4, "rgba premultiplied": 4, "grey alpha": 2, "cmyk": 4}
PLAIN = {"compression": None}
SMALL = ({"compression": "zlib"}, {"compression": "lzw", "tile": (16, 32)}, {"tile": (32, 16)}, {"rowsperstrip": 5})
"""What the kinds of samples are crossed with by default."""


def unit(bands: int) -> np.ndarray:
    """Return a smooth picture that differs in every band: float [H, W, bands], 0 to 1."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / np.array([[[HEIGHT]], [[WIDTH]]])
    return np.stack([(x * (1 + b) + y * (3 - b)) % 1 for b in range(bands)], axis=2)


def samples_of(layout: str, type_: str) -> np.ndarray:
    """Return the samples of a layout's picture in a type's whole range: [H, W, bands], or [H, W]."""
    picture = unit(BANDS.get(layout, 1))
    if layout == "rgba premultiplied":
        picture[..., :3] *= picture[..., 3:]
    top = 1 if type_.startswith("float") else np.iinfo(type_).max
    scaled = (picture * top).astype(type_)
    return scaled if scaled.shape[2] > 1 else scaled[..., 0]


def rgb_of(layout: str, values: np.ndarray) -> np.ndarray:
    """Return the picture that samples of 0 to 1 stand for, on white: float [H, W, 3], 0 to 255."""
    values = values if values.ndim == 3 else values[..., None]
    color, alpha = values, np.ones_like(values[..., :1])
    if layout == "miniswhite":
        color = 1 - values
    elif layout == "cmyk":
        color = (1 - values[..., :3]) * (1 - values[..., 3:])
    elif layout in ("rgba", "rgba premultiplied", "grey alpha"):
        color, alpha = values[..., :-1], values[..., -1:]
    color = color + 1 - alpha if layout == "rgba premultiplied" else color * alpha + 1 - alpha
    return np.broadcast_to(color * 255, (*values.shape[:2], 3))


def written(layout: str, samples: np.ndarray, planar: bool = False, **options: Any) -> bytes:
    """Write a TIFF by tifffile."""
    extra = {"rgba": ["unassalpha"], "rgba premultiplied": ["assocalpha"], "grey alpha": ["unassalpha"]}.get(layout)
    photometric = {"cmyk": "separated", "grey alpha": "minisblack"}.get(layout, layout.split()[0][:3])
    photometric = layout if layout.startswith("minis") else photometric
    data = np.moveaxis(samples, 2, 0) if planar and samples.ndim == 3 else samples
    if samples.ndim == 3:
        options["planarconfig"] = "separate" if planar else "contig"
    file = io.BytesIO()
    tifffile.imwrite(file, data, photometric=photometric, extrasamples=extra, metadata=None, **options)
    return file.getvalue()


def tiff(order: str, tags: dict[int, int], strip: bytes) -> bytes:
    """Return a TIFF of one strip: tifffile writes no 12 bits that it can read in the other byte order."""
    tags = dict(sorted({**tags, 273: 8, 279: len(strip)}.items()))
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags.items())
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return (
        mark
        + struct.pack(f"{order}I", 8 + len(strip))
        + strip
        + struct.pack(f"{order}H", len(tags))
        + entries
        + bytes(4)
    )


def decoded(data: bytes) -> np.ndarray:
    (pixels,) = decode_image(data, [(HEIGHT, WIDTH)], "stretch")[1].values()
    return pixels


def difference(data: bytes, expected: np.ndarray) -> float:
    return float(np.abs(decoded(data) - expected).mean())


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


def test_numbers_that_are_not_finite_are_black_and_do_not_decide_the_range() -> None:
    """One pixel of infinity made all others black (3b)."""
    values = unit(1)[..., 0].astype(np.float32)
    values[0, :3] = np.inf, -np.inf, np.nan
    finite = np.nan_to_num(values, posinf=0, neginf=0)
    assert difference(written("minisblack", values), rgb_of("minisblack", finite)) < 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_signed_numbers_below_0_are_black(order: str, compression: str | None) -> None:
    values = np.where(unit(1)[..., 0] < 0.3, -5, unit(1)[..., 0] * 32767)
    for type_, scale in (("int16", 257), ("int32", 257)):
        data = written("minisblack", values.astype(type_), byteorder=order, compression=compression)
        if (type_, order, compression) == ("int16", ">", "zlib"):
            with pytest.raises(ImageError, match="1 x 16-bit signed"):
                decoded(data)
        else:
            assert difference(data, rgb_of("minisblack", np.clip(values, 0, None) / scale / 255)) < 1


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


@pytest.mark.parametrize("tag", [{"extratags": [(50706, 1, 4, b"\1\4\0\0", True)]}, {"subifds": 1}])
def test_a_raw_photo_is_not_embedded_from_its_thumbnail(tag: dict[str, Any]) -> None:
    """A DNG became the embedding of a picture of 16 x 12 px (3e)."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        tiff.write(np.zeros((12, 16, 3), np.uint8), photometric="rgb", subfiletype=1, **tag)
        tiff.write(np.zeros((96, 128), np.uint16), photometric="cfa" if tag else "minisblack")
    with pytest.raises(ImageError, match="only its thumbnail") as error:
        decode_image(file.getvalue(), [(8, 8)])
    assert error.value.reason == "unsupported_raw"


def test_overviews_of_a_whole_image_do_not_make_it_a_raw_photo() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        tiff.write(samples_of("rgb", "uint8"), photometric="rgb", subifds=1)
        tiff.write(np.zeros((9, 9, 3), np.uint8), photometric="rgb", subfiletype=1)
    assert difference(file.getvalue(), rgb_of("rgb", samples_of("rgb", "uint8") / 255)) < 1


def test_the_directory_is_read_in_both_orders_and_sizes() -> None:
    for order, big in itertools.product("<>", (False, True)):
        data = written("rgb", samples_of("rgb", "uint16"), True, byteorder=order, bigtiff=big, rowsperstrip=5)
        assert is_tiff(data)
        page = tifffile.TiffFile(io.BytesIO(data)).pages[0]
        samples = Samples(Directory(data))
        assert samples.directory.numbers(273) == tuple(page.dataoffsets)
        assert (samples.size, samples.count, samples.bits, samples.planar) == ((WIDTH, HEIGHT), 3, 16, True)
        assert (samples.mode, samples.pillow_is_right, samples.is_readable) == ("RGB", False, True)


def test_a_directory_behind_the_end_is_said_to_be_truncated() -> None:
    data = written("minisblack", samples_of("minisblack", "uint8"))
    for length in (9, 60):
        with pytest.raises(ImageError) as error:
            decode_image(data[:length], [(8, 8)])
        assert error.value.reason == "truncated"
    assert not is_tiff(b"II")


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


@pytest.mark.parametrize("num_bytes", [0, None])
def test_a_strip_that_is_missing_is_not_made_of_other_bytes(num_bytes: int | None) -> None:
    """(3b) The header would become pixels."""
    file = io.BytesIO()
    tifffile.imwrite(file, np.full((32, 16), 200, np.uint8), rowsperstrip=16, photometric="minisblack")
    data = bytearray(file.getvalue())
    for tag in tifffile.TiffFile(io.BytesIO(data)).pages[0].tags.values():
        if num_bytes is None and tag.name in ("StripOffsets", "StripByteCounts"):
            # One strip instead of two.
            data[tag.offset + 4 : tag.offset + 8] = struct.pack("<I", 1)
            data[tag.offset + 8 : tag.offset + 12] = struct.pack("<I", tag.value[0])
        elif num_bytes == 0 and tag.name == "StripByteCounts":
            data[tag.valueoffset + 2 : tag.valueoffset + 4] = bytes(2)
    with pytest.raises(ImageError, match="are missing") as refused:
        decode_image(bytes(data), [(16, 16)])
    assert refused.value.reason == "truncated"
