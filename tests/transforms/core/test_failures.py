"""What was lost: captured, written as lines that are valid input again, counted by reason."""

import datetime
import json
import pathlib
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.pvalue import TaggedOutput
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from transforms.core.elements import Image, ImageUri
from transforms.core.failures import (
    FAILURES,
    CountReasons,
    Failure,
    ImageError,
    WriteFailures,
    capture,
    failure_to_json,
)


def failure(uri: str, reason: str = "corrupt", **columns: Any) -> Failure:
    return Failure(ImageUri(uri, columns), "decode", reason, "permanent", "ValueError", f"{uri} is broken", 2)


def refuse(element: Any) -> Any:
    raise ImageError("timeout", "line one\nline two", transient=True, attempts=4)


def test_an_image_error_becomes_a_failure_with_its_source() -> None:
    source = ImageUri("a.jpg", {"label": 7})
    for element in (source, Image(source, b"")):
        result = capture("fetch", refuse)(element)
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


def test_any_other_error_is_not_caught() -> None:
    with pytest.raises(ZeroDivisionError):
        capture("decode", lambda element: 1 / 0)(ImageUri("a"))


def test_a_line_holds_the_failure_and_the_carried_columns() -> None:
    row = json.loads(failure_to_json(failure("ä b.jpg", label="x", seen=datetime.date(2026, 1, 2), tags=["a", None])))
    assert row == {
        "uri": "ä b.jpg",
        "stage": "decode",
        "reason": "corrupt",
        "kind": "permanent",
        "error": "ValueError",
        "message": "ä b.jpg is broken",
        "attempts": 2,
        "label": "x",
        "seen": "2026-01-02",
        "tags": ["a", None],
    }


def test_the_files_hold_each_failure_once_in_lines_of_json(tmp_path: pathlib.Path) -> None:
    with beam.Pipeline(FnApiRunner()) as root:
        lost = root | beam.Create([failure(f"{i}.jpg", n=i) for i in range(25)])
        _ = lost | WriteFailures(str(tmp_path), "RUN", shard_bytes=1000)
    files = sorted(tmp_path.glob("failures-RUN-*.jsonl"))
    assert len(files) > 1
    assert files[0].name == f"failures-RUN-00000-of-{len(files):05d}.jsonl"
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert sorted((row["uri"], row["n"]) for row in rows) == sorted((f"{i}.jpg", i) for i in range(25))


def test_no_failures_are_no_file(tmp_path: pathlib.Path) -> None:
    with beam.Pipeline(FnApiRunner()) as root:
        _ = root | beam.Create([], reshuffle=False) | WriteFailures(str(tmp_path), "RUN")
    assert list(tmp_path.glob("failures-*")) == []


def test_reasons_are_counted_with_one_example_each_the_most_frequent_first() -> None:
    lost = [failure("1", "corrupt"), failure("2", "empty"), failure("3", "empty")]

    def check(found: list[dict[str, Any]]) -> None:
        (reasons,) = found
        assert [(reason, seen["count"]) for reason, seen in reasons.items()] == [("empty", 2), ("corrupt", 1)]
        assert reasons["corrupt"]["example"] == "1"
        assert reasons["corrupt"]["message"] == "1 is broken"
        assert reasons["empty"]["example"] in ("2", "3")

    with beam.Pipeline(FnApiRunner()) as root:
        assert_that(root | beam.Create(lost) | beam.CombineGlobally(CountReasons()), check)


def test_counting_in_parts_gives_the_same() -> None:
    combine = CountReasons()
    parts = []
    for uris in ("ab", "c", ""):
        part = combine.create_accumulator()
        for uri in uris:
            part = combine.add_input(part, failure(uri))
        parts.append(part)
    assert combine.extract_output(combine.merge_accumulators(parts))["corrupt"]["count"] == 3


def test_captured_failures_leave_by_their_own_output() -> None:
    with beam.Pipeline(FnApiRunner()) as root:
        outputs = (
            root
            | beam.Create([ImageUri("a")])
            | beam.Map(capture("fetch", refuse)).with_outputs(FAILURES, main="images")
        )
        assert_that(outputs.images, equal_to([]))
        assert_that(outputs[FAILURES] | beam.Map(lambda f: f.reason), equal_to(["timeout"]), label="failures")
