"""Errors in one line, and the word that was meant."""

import builtins
import importlib
import inspect
import pathlib
import re

import pytest

from transforms.core import errors
from transforms.core.errors import ImageError, Interrupted, RunError, UsageError, did_you_mean, one_line

ROOT = pathlib.Path(__file__).parents[3]


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


def test_an_image_error_says_all_that_a_failure_shows() -> None:
    error = ImageError("timeout", "too late", transient=True, error="Late", attempts=3)
    assert (error.reason, str(error), error.transient, error.error, error.attempts) == (
        "timeout",
        "too late",
        True,
        "Late",
        3,
    )
    plain = ImageError("corrupt", "broken")
    assert (plain.transient, plain.error, plain.attempts) == (False, "", 1)


def test_a_message_with_a_name_that_is_not_utf8_can_be_written() -> None:
    assert str(ImageError("not_found", "no such file: /\udcfc.jpg")).encode() == rb"no such file: /\udcfc.jpg"


def test_an_interrupt_is_not_caught_as_an_error_and_says_what_was_kept() -> None:
    assert issubclass(Interrupted, KeyboardInterrupt)
    assert not issubclass(Interrupted, Exception)
    assert (str(Interrupted("kept")), Interrupted("kept").leaves_threads) == ("kept", False)
    assert Interrupted("kept", leaves_threads=True).leaves_threads


def exceptions_of_the_code() -> dict[str, type[BaseException]]:
    """Return the exceptions that the code defines, without the private ones, which never leave their module."""
    found = {}
    for path in [*(ROOT / "transforms").rglob("*.py"), *(ROOT / "pipelines").rglob("*.py")]:
        module = path.relative_to(ROOT).as_posix().removesuffix(".py").replace("/", ".")
        for name in re.findall(r"^class ([A-Z]\w*Error|Interrupted)\b", path.read_text(encoding="utf-8"), re.M):
            found[name] = getattr(importlib.import_module(module), name)
    return found


def test_the_tree_of_exceptions_is_that_of_the_code() -> None:
    tree = dict(re.findall(r"[├└]── (\w+)(?: \(an? (\w+)\))?", inspect.getdoc(errors) or ""))
    found = exceptions_of_the_code()
    assert set(tree) <= set(found)
    for name, exception in found.items():
        # A kind of one in the tree needs no line of its own.
        assert {base.__name__ for base in exception.__mro__} & set(tree), name
    for name, base in tree.items():
        if base:
            assert issubclass(found[name], getattr(builtins, base)), name
