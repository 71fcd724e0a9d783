"""Lines have a bound and an encoding, and a line beyond the bound costs no memory."""

import io

import pytest

from transforms.read.bounds import ROW_BYTES
from transforms.read.formats.text_lines import Lines, TooLongError


def test_lines_keep_their_ends() -> None:
    lines = Lines(io.BytesIO(b"\xef\xbb\xbfa\nb\r\nc\rd"))
    assert list(lines) == ["a\n", "b\r\n", "c\r", "d"]


def test_what_is_no_utf8_stays_as_in_names_of_files() -> None:
    assert list(Lines(io.BytesIO(b"\xfc.jpg"))) == ["\udcfc.jpg"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_mark_says_the_encoding(encoding: str) -> None:
    """(2d)"""
    assert list(Lines(io.BytesIO("ä\n🧀".encode(encoding)))) == ["ä\n", "🧀"]


class Zeros(io.RawIOBase):
    """A file of one line of `size` zeros, and a second line."""

    def __init__(self, size: int):
        self.left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = b"0" * min(len(buffer), self.left) if self.left > 0 else b"\nb\n" if self.left == 0 else b""
        self.left -= len(piece) or 1
        buffer[: len(piece)] = piece
        return len(piece)


def test_a_line_too_long_is_passed_over() -> None:
    """(4b)"""
    lines = Lines(io.BufferedReader(Zeros(ROW_BYTES + (1 << 16)), 1 << 16))
    with pytest.raises(TooLongError, match="a row of more than 16,777,216 characters"):
        next(lines)
    lines.row_ended()
    assert list(lines) == ["b\n"]


def test_a_row_of_many_lines_is_bounded_as_well() -> None:
    """(4b) Quotes hold line breaks."""
    line = "x" * (ROW_BYTES // 2 - 1) + "\n"
    lines = Lines(io.BytesIO((line * 3 + "b\n").encode()))
    assert [len(next(lines)), len(next(lines))] == [len(line)] * 2
    with pytest.raises(TooLongError):
        next(lines)
    lines.give_again()
    assert [len(next(lines)), len(next(lines))] == [len(line)] * 2
    assert lines.row_ended() == 2 * len(line)
    assert next(lines) == "b\n"
    assert not lines.at_end
    assert list(lines) == []
    assert lines.at_end
