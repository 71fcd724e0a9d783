"""Errors in one line, and the word that was meant."""

import pytest

from transforms.core.errors import RunError, UsageError, did_you_mean, one_line


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("url", "uri"),
        ("URI", "uri"),
        ("mobilenetv2", "MobileNetV2"),
        ("MobilNetV2", "MobileNetV2"),
        ("ResNet", "ResNet50"),
    ],
)
def test_the_nearest_word_is_suggested_in_its_own_case(word: str, meant: str) -> None:
    known = (name for name in ("uri", "MobileNetV2", "ResNet50", "label"))
    assert did_you_mean(word, known) == f" (did you mean {meant!r}?)"


@pytest.mark.parametrize(("word", "known"), [("xyzzy", ["uri", "label"]), ("uri", []), ("", ["uri"]), ("uri", [""])])
def test_nothing_is_suggested_where_nothing_is_near(word: str, known: list[str]) -> None:
    assert did_you_mean(word, known) == ""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no such thing"), "no such thing"),
        (ValueError("one\n  two\r\n\tthree "), "one two three"),
        (ValueError(), "ValueError"),
        (ValueError(" \n"), "ValueError"),
        (TimeoutError(), "TimeoutError"),
        (FileNotFoundError(2, "No such file", "/a.jpg"), "[Errno 2] No such file: '/a.jpg'"),
    ],
)
def test_an_error_is_said_in_one_line(error: BaseException, line: str) -> None:
    assert one_line(error) == line


@pytest.mark.parametrize(
    ("length", "shown"), [(9, "x" * 9), (10, "x" * 10), (11, "x" * 9 + "…"), (1000, "x" * 9 + "…")]
)
def test_a_long_line_is_cut_and_says_so(length: int, shown: str) -> None:
    assert one_line(ValueError("x" * length), limit=10) == shown


def test_a_line_has_300_characters_at_most() -> None:
    assert len(one_line(ValueError("ä\n" * 1000))) == 300


def test_a_usage_error_is_a_value_error_and_a_run_error_is_not() -> None:
    assert issubclass(UsageError, ValueError)
    assert not issubclass(RunError, ValueError)
