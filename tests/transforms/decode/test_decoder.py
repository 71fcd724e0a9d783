"""Images to pixels: formats, orientation, colour, limits, resizes."""

import io
import zlib

import apache_beam as beam
import numpy as np
import PIL.Image
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from PIL import ImageOps

from tests.conftest import sample_image
from transforms import DecodeImages, Image, ImageError, ImageUri
from transforms.decode import decode_image
from transforms.decode.parts import MAX_SCANS

SIZE = (48, 64)


def encoded(image: PIL.Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def decoded(data: bytes, size: tuple[int, int] = SIZE, **options: object) -> np.ndarray:
    return decode_image(data, [size], **options)[1][size]


def reason_of(data: bytes, **options: object) -> str:
    with pytest.raises(ImageError) as error:
        decoded(data, **options)
    assert "\n" not in str(error.value)
    return error.value.reason


@pytest.mark.parametrize("file_format", ["PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "PPM", "ICO", "JPEG", "MPO"])
def test_each_format_gives_the_picture(file_format: str) -> None:
    image = sample_image(1, 128, 96)
    lossless = file_format in ("PNG", "BMP", "TIFF", "PPM")
    options = {
        "GIF": {"save_all": True, "append_images": [sample_image(2, 128, 96)]},
        "MPO": {"save_all": True, "append_images": [sample_image(2, 128, 96)]},
        "ICO": {"sizes": [(128, 96)]},
    }.get(file_format, {})
    facts, by_size = decode_image(encoded(image, file_format, **options), [(96, 128)])
    assert facts.format in (file_format, "JPEG")
    assert (facts.width, facts.height) == (128, 96)
    assert by_size[96, 128].dtype == np.uint8
    difference = np.abs(by_size[96, 128].astype(int) - np.asarray(image, int))
    assert difference.max() == 0 if lossless else difference.mean() < (20 if file_format == "GIF" else 8)


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [PIL.Image.new("RGB", (64, 48), color) for color in ("red", "blue")]
    for file_format in ("PNG", "GIF", "WEBP"):
        data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], duration=100)
        assert decoded(data)[20, 30, 0] > 200
        assert decoded(data)[20, 30, 2] < 60


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int) -> None:
    upright = sample_image(3, 128, 96)
    # What a camera stores is the upright picture turned the other way.
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright.transpose(PIL.Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    facts, by_size = decode_image(encoded(stored, "PNG", exif=exif), [(96, 128)])
    assert (facts.width, facts.height) == (128, 96)
    np.testing.assert_array_equal(by_size[96, 128], np.asarray(upright))


def test_a_broken_exif_block_is_ignored() -> None:
    data = encoded(sample_image(1), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert decoded(data).shape == (*SIZE, 3)


def test_alpha_lies_over_white() -> None:
    half_black = PIL.Image.new("RGBA", (64, 48), (0, 0, 0, 128))
    assert decoded(encoded(half_black, "PNG"))[0, 0].tolist() == [127, 127, 127]
    grey = PIL.Image.new("LA", (64, 48), (0, 0))
    assert decoded(encoded(grey, "PNG"))[0, 0].tolist() == [255, 255, 255]
    palette = PIL.Image.new("P", (64, 48), 1)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    assert decoded(encoded(palette, "PNG", transparency=1))[0, 0].tolist() == [255, 255, 255]
    assert decoded(encoded(palette, "PNG"))[0, 0].tolist() == [0, 255, 0]


def test_16_bit_grey_is_scaled() -> None:
    for file_format in ("PNG", "TIFF"):
        image = PIL.Image.fromarray(np.full((48, 64), 128 * 257, np.uint16))
        assert decoded(encoded(image, file_format))[0, 0].tolist() == [128, 128, 128]


def test_float_grey_is_0_to_1_or_0_to_255() -> None:
    for value, expected in ((0.5, 128), (100.0, 100), (300.0, 255), (-1.0, 0)):
        image = PIL.Image.fromarray(np.full((48, 64), value, np.float32))
        assert decoded(encoded(image, "TIFF"))[0, 0].tolist() == [expected] * 3


def test_cmyk_and_bilevel_become_rgb() -> None:
    cyan = PIL.Image.new("CMYK", (64, 48), (255, 0, 0, 0))
    assert decoded(encoded(cyan, "TIFF"))[0, 0].tolist() == [0, 255, 255]
    assert decoded(encoded(PIL.Image.new("1", (64, 48), 1), "PNG"))[0, 0].tolist() == [255, 255, 255]


def test_crop_takes_the_centre_at_full_height() -> None:
    image = PIL.Image.new("RGB", (200, 100), "red")
    image.paste("blue", (50, 0, 150, 100))
    pixels = decoded(encoded(image, "PNG"), (100, 100), resize="crop")
    assert (pixels == (0, 0, 255)).all()


def test_stretch_and_pad_show_the_whole_image() -> None:
    image = PIL.Image.new("RGB", (200, 100), "red")
    assert (decoded(encoded(image, "PNG"), (50, 50), resize="stretch") == (255, 0, 0)).all()
    padded = decoded(encoded(image, "PNG"), (50, 50), resize="pad")
    assert (padded[:12] == 0).all()
    assert (padded[13:37] == (255, 0, 0)).all()


def test_a_big_jpeg_is_decoded_at_a_reduced_scale_that_looks_the_same() -> None:
    big = sample_image(5, 2400, 1800)
    data = encoded(big, "JPEG", quality=95)
    expected = np.asarray(ImageOps.fit(big, (224, 224), PIL.Image.Resampling.BILINEAR), int)
    facts, by_size = decode_image(data, [(224, 224)])
    assert (facts.width, facts.height) == (2400, 1800)
    assert np.abs(by_size[224, 224].astype(int) - expected).mean() < 2


def test_each_size_is_decoded_once_from_the_same_image() -> None:
    _, by_size = decode_image(encoded(sample_image(1), "PNG"), [(48, 64), (32, 32)])
    assert {size: pixels.shape for size, pixels in by_size.items()} == {(48, 64): (48, 64, 3), (32, 32): (32, 32, 3)}


def test_what_is_no_image_is_said_so() -> None:
    assert reason_of(b"") == "empty"
    assert reason_of(b"<html>404</html>") == "not_an_image"
    assert reason_of(encoded(sample_image(1), "JPEG2000")) == "not_an_image"


def test_truncated_files_are_failures() -> None:
    for file_format in ("JPEG", "PNG", "BMP", "PPM"):
        data = encoded(sample_image(1), file_format)
        assert reason_of(data[: len(data) // 2]) == "truncated", file_format


def test_a_png_with_a_wrong_checksum_is_corrupt() -> None:
    data = bytearray(encoded(sample_image(1), "PNG"))
    data[20] ^= 1
    assert reason_of(bytes(data)) in ("corrupt", "not_an_image")


def test_bombs_are_refused_before_they_are_decoded() -> None:
    ihdr = b"IHDR" + (50_000).to_bytes(4) + (50_000).to_bytes(4) + b"\x08\x02\0\0\0"
    chunk = (13).to_bytes(4) + ihdr + zlib.crc32(ihdr).to_bytes(4)
    assert reason_of(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT\x35\xaf\x06\x1e") == "too_many_pixels"
    assert reason_of(encoded(sample_image(1, 100, 100), "PNG"), max_pixels=9_999) == "too_many_pixels"
    assert decoded(encoded(sample_image(1, 100, 100), "PNG"), max_pixels=10_000).shape == (*SIZE, 3)


def test_a_progressive_jpeg_of_too_many_scans_is_refused() -> None:
    data = encoded(sample_image(1), "JPEG", progressive=True)
    assert decoded(data).shape == (*SIZE, 3)
    scan = data[data.index(b"\xff\xda") : data.index(b"\xff\xda") + 14]
    assert reason_of(data[:-2] + scan * (MAX_SCANS + 1) + data[-2:]) == "too_many_scans"


def test_decode_images_splits_pixels_from_failures() -> None:
    good = Image(ImageUri("good", {"label": 1}), encoded(sample_image(1), "PNG"))
    bad = Image(ImageUri("bad"), b"nothing")
    with beam.Pipeline(runner=FnApiRunner()) as p:
        pixels, undecoded = p | beam.Create([good, bad]) | DecodeImages([SIZE, SIZE])
        assert_that(
            pixels | "Facts" >> beam.Map(lambda p: (p.source, p.by_size[SIZE].shape)),
            equal_to([(good.source, (*SIZE, 3))]),
        )
        assert_that(
            undecoded | "Reasons" >> beam.Map(lambda f: (f.source.uri, f.stage, f.reason)),
            equal_to([("bad", "decode", "not_an_image")]),
            label="failures",
        )


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(ValueError, match="'squash'"):
        DecodeImages(resize="squash")
    with pytest.raises(ValueError, match="positive"):
        DecodeImages([(0, 5)])
