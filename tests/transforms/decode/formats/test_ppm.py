"""PBM, PGM and PPM against what numpy makes of the same numbers, and bounds on headers and comments."""

import time

import numpy as np
import pytest

from tests.transforms.decode.encoding import reason_of, whole
from transforms.decode.formats.ppm import MAX_HEADER, refuse_long_header

SHAPE = (37, 53)


def text(values: np.ndarray, between: str = " ") -> bytes:
    return between.join(map(str, values.ravel())).encode()


def samples(white: int, bands: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, white + 1, (*SHAPE, bands))


@pytest.mark.parametrize("white", [1, 100, 255, 1023, 65535])
@pytest.mark.parametrize("bands", [1, 3])
def test_samples_of_every_range_are_scaled_in_text_and_in_bytes(white: int, bands: int) -> None:
    """Pillow scaled them one by one: 100 million took minutes (4a)."""
    values = samples(white, bands)
    expected = np.broadcast_to(values / white * 255, (*SHAPE, 3))
    head = f" {SHAPE[1]} {SHAPE[0]} {white}\n".encode()
    in_bytes = values.astype(">u2" if white > 255 else "u1").tobytes()
    for magic, body in ((b"P6" if bands == 3 else b"P5", in_bytes), (b"P3" if bands == 3 else b"P2", text(values))):
        assert np.abs(whole(magic + head + body) - expected).max() <= 1, magic


@pytest.mark.parametrize("between", ["", " ", "\n", "\r\n", " # one\n"])
def test_a_bitmap_in_text_has_black_ones_however_they_are_apart(between: str) -> None:
    values = samples(1, 1)
    data = f"P1\n# two\n{SHAPE[1]} {SHAPE[0]}\n".encode() + text(values, between)
    np.testing.assert_array_equal(whole(data), np.broadcast_to(255 - values * 255, (*SHAPE, 3)))


def test_a_comment_ends_a_number() -> None:
    """Without the end of its line, the numbers on both sides became one (3b)."""
    assert whole(b"P2 2 1 255\n12# one\n34 # two").tolist() == [[[12] * 3, [34] * 3]]


def test_numbers_lie_across_blocks() -> None:
    values = np.random.default_rng(0).integers(0, 256, (600, 600, 3))
    np.testing.assert_array_equal(whole(b"P3 600 600 255\n" + text(values)), values)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"1 2 3", "truncated"),
        (b"", "truncated"),
        (b"1 2 3 256", "corrupt"),
        (b"1 2 3 -1", "corrupt"),
        (b"1 2 x 4", "corrupt"),
        (b"1 2 3 " + b"9" * 30, "corrupt"),
    ],
)
def test_numbers_that_are_missing_or_none_are_failures(body: bytes, reason: str) -> None:
    assert reason_of(b"P2 2 2 255\n" + body) == reason


def test_what_follows_the_samples_is_not_read() -> None:
    assert whole(b"P2 1 1 255\n7 P2 1 1 255\n8")[0, 0, 0] == 7


@pytest.mark.parametrize("filler", [b"#" + b"c" * 40_000_000 + b"\n", b" " * 40_000_000])
@pytest.mark.parametrize("before", [b"P6\n%b2 2 255\n", b"P5 2 2 %b255\n", b"P1\n%b2 2\n", b"Pf 2 2 %b1.0\n"])
def test_a_long_header_is_refused_at_once(before: bytes, filler: bytes) -> None:
    """A comment of 40 MB took 40 s to 70 s (4a)."""
    started = time.thread_time()
    assert reason_of(before % filler + bytes(64)) == "too_many_parts"
    assert time.thread_time() - started < 1


def test_a_header_of_usual_length_is_read() -> None:
    refuse_long_header(b"")
    comment = b"# " + b"c" * (MAX_HEADER // 2) + b"\n"
    assert whole(b"P6\n" + comment + b"2 2\n# two\n255\n" + bytes(12)).shape == (2, 2, 3)
    # What lies behind the header may hold anything.
    assert whole(b"P5 400 400 255\n" + b"#" * 160_000).shape == (400, 400, 3)
    assert whole(b"P4 800 800\n" + b"#" * 80_000).shape == (800, 800, 3)


def test_comments_between_numbers_are_counted() -> None:
    """Two million of them took a minute (4a)."""
    started = time.thread_time()
    assert reason_of(b"P3 100 100 255\n" + b"#\n" * 2_000_000 + b" 1" * 30_000) == "too_many_parts"
    assert time.thread_time() - started < 1


def test_text_of_tens_of_megabytes_takes_seconds() -> None:
    """Spaces of 40 MB before the first number, and millions of numbers (4a)."""
    started = time.thread_time()
    assert whole(b"P3 1 1 255\n" + b" " * 40_000_000 + b"1 2 3").tolist() == [[[1, 2, 3]]]
    assert whole(b"P2 2000 2000 255\n" + b"200 " * 4_000_000).min() == 200
    assert time.thread_time() - started < 6
