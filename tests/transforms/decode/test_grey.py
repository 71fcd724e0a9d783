"""Grey samples of every type become the 8 bits that numpy makes of them."""

import numpy as np
import PIL.Image
import pytest

from transforms.decode import grey
from transforms.decode.grey import highest, in_strips, scaled, strips, to_8_bits, white_of

RAMP = np.linspace(0, 1, 50 * 70).reshape(50, 70)


def values_of(image: PIL.Image.Image, bits: int = 16, whole: np.dtype | None = None) -> np.ndarray:
    converted = scaled(image, white_of(image.mode, highest(image, whole), bits, whole), whole)
    assert converted.mode == "L"
    return np.asarray(converted, float)


@pytest.mark.parametrize(
    ("samples", "options", "top"),
    [
        (np.uint16(RAMP * 65535), {}, 65535),
        (np.uint16(RAMP * 4095), {"bits": 12}, 4095),
        (np.int32(RAMP * 65535), {}, 65535),
        (np.int32(RAMP * (2**31 - 1)), {}, 2**31 - 1),
        (np.uint32(RAMP * (2**32 - 1)).view(np.int32), {"whole": np.dtype("u4")}, 2**32 - 1),
        (np.float32(RAMP), {}, 1),
        (np.float32(RAMP * 255), {}, 255),
        (np.uint8(RAMP * 255), {}, 255),
        (np.uint8(RAMP * 127), {"whole": np.dtype("i1")}, 127),
        (np.uint16(RAMP * 32767), {"whole": np.dtype("i2")}, 32767),
    ],
)
def test_the_whole_range_of_a_type_becomes_8_bits(samples: np.ndarray, options: dict[str, object], top: int) -> None:
    unsigned = samples.astype(options.get("whole", samples.dtype))
    expected = unsigned.astype(float) / top * 255
    assert np.abs(values_of(PIL.Image.fromarray(samples), **options) - expected).max() <= 0.51


def test_images_that_belong_together_have_one_range() -> None:
    dark, light = (PIL.Image.fromarray(np.full((4, 4), value, np.float32)) for value in (0.5, 200.0))
    white = white_of("F", max(highest(dark), highest(light)))
    assert [np.asarray(scaled(image, white)).max() for image in (dark, light)] == [0, 200]
    assert np.asarray(to_8_bits(dark)).max() == 128


def test_big_endian_and_bilevel_images_are_converted() -> None:
    swapped = PIL.Image.frombytes("I;16B", (2, 1), b"\xff\xff\x80\x80")
    assert values_of(swapped).tolist() == [[255, 128]]
    assert values_of(PIL.Image.new("1", (2, 1), 1)).tolist() == [[255, 255]]


def test_what_is_not_finite_or_below_0_is_black() -> None:
    samples = np.float32([[np.nan, np.inf, -np.inf, -1, 1, 0.5]])
    assert values_of(PIL.Image.fromarray(samples)).tolist() == [[0, 0, 0, 0, 255, 128]]


def test_strips_make_the_whole_and_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Float64 of a whole image took 8 bytes for each of its pixels (4a)."""
    monkeypatch.setattr(grey, "_STRIP_PIXELS", 500)
    image = PIL.Image.fromarray(np.uint8(RAMP * 255))
    assert max(strip.width * strip.height for _, strip in strips(image)) <= 500
    np.testing.assert_array_equal(np.asarray(in_strips(image, "L", lambda strip: strip)), np.asarray(image))
    wide = PIL.Image.new("L", (1000, 3), 9)
    assert [(top, strip.size) for top, strip in strips(wide)] == [(row, (1000, 1)) for row in range(3)]
