"""What a stage loses: an ImageError becomes a Failure, which leaves by its own output; nothing else is caught."""

import ast
import pathlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.pvalue import TaggedOutput
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from transforms.core.counters import reset_tally, tally
from transforms.core.elements import Image, ImageUri
from transforms.core.errors import ImageError
from transforms.core.failures import FAILURES, REASONS, Failure, failed, failures_of

ROOT = pathlib.Path(__file__).parents[3]


def refuse(element: Any) -> Any:
    raise ImageError("timeout", "line one\nline two", transient=True, attempts=4)


def test_an_image_error_becomes_a_failure_with_its_source() -> None:
    source = ImageUri("a.jpg", {"label": 7})
    for element in (source, Image(source, b"")):
        result = failures_of("fetch", refuse)(element)
        assert isinstance(result, TaggedOutput)
        assert result.tag == FAILURES
        lost = result.value
        assert (lost.source, lost.stage, lost.reason, lost.kind, lost.attempts) == (
            source,
            "fetch",
            "timeout",
            "transient",
            4,
        )
        assert "\n" not in lost.message


def test_the_error_is_the_cause_where_there_is_one() -> None:
    error = ImageError("corrupt", "broken")
    assert Failure.of(ImageUri("a"), "decode", error).error == "ImageError"
    error.__cause__ = KeyError("x")
    assert Failure.of(ImageUri("a"), "decode", error).error == "KeyError"


def test_an_error_that_is_named_is_shown_instead_of_the_cause() -> None:
    error = ImageError("http_404", "gone", error="HTTPError")
    error.__cause__ = KeyError("x")
    assert Failure.of(ImageUri("a"), "fetch", error).error == "HTTPError"


def test_any_other_error_is_not_caught() -> None:
    with pytest.raises(ZeroDivisionError):
        failures_of("decode", lambda element: 1 / 0)(ImageUri("a"))


def test_what_is_not_lost_is_given_as_it_is_and_not_counted_as_a_failure() -> None:
    reset_tally()
    image = Image(ImageUri("a"), b"x")
    assert failures_of("fetch", lambda element: image)(image.source) is image
    assert sorted(tally()) == ["fetch-busy-us"]


def test_a_failure_is_counted_and_its_time_too() -> None:
    reset_tally()
    failures_of("decode", refuse)(ImageUri("a"))
    failed(ImageUri("b"), "read", ImageError("no_uri", "empty"))
    assert tally()["images-failed"] == 2
    assert set(tally()) == {"images-failed", "decode-busy-us"}


def test_failures_leave_by_their_own_output() -> None:
    with beam.Pipeline(FnApiRunner()) as root:
        outputs = (
            root
            | beam.Create([ImageUri("a")])
            | beam.Map(failures_of("fetch", refuse)).with_outputs(FAILURES, main="images")
        )
        assert_that(outputs.images, equal_to([]))
        assert_that(outputs[FAILURES] | beam.Map(lambda f: f.reason), equal_to(["timeout"]), label="failures")


def reasons_given(path: pathlib.Path) -> Iterator[str]:
    """Give the reasons with which a file makes errors, as they stand in its text."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        makes = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if makes and node.func.id in ("ImageError", "DownloadError", "fail"):
            reason = node.args[0]
            if isinstance(reason, ast.JoinedStr):
                yield reason.values[0].value + "NNN"
            elif isinstance(reason, ast.Constant):
                yield reason.value


def test_every_reason_that_a_stage_gives_has_a_meaning_and_none_is_idle() -> None:
    given = {reason for path in (ROOT / "transforms").rglob("*.py") for reason in reasons_given(path)}
    assert given == set(REASONS)
