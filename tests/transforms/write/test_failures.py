"""Failures are written as lines of JSON, which are valid input again."""

import datetime
import json
import pathlib
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from transforms.core.elements import ImageUri
from transforms.core.failures import Failure
from transforms.read.uris import ReadImageUris
from transforms.write.failures import FailuresFormat, WriteFailures, failure_to_json
from transforms.write.shard_format import PART_ROWS


def failure(uri: str, **columns: Any) -> Failure:
    return Failure(
        ImageUri(uri, columns, "generation:17"), "decode", "corrupt", "permanent", "ValueError", f"{uri} is broken", 2
    )


def test_a_line_holds_the_failure_and_the_carried_columns() -> None:
    row = json.loads(failure_to_json(failure("ä b.jpg", label="x", seen=datetime.date(2026, 1, 2), tags=["a", None])))
    assert row == {
        "uri": "ä b.jpg",
        "version": "generation:17",
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


def test_bytes_are_text_or_base64() -> None:
    """(2d) They became b'...'."""
    row = json.loads(failure_to_json(failure("a.jpg", text="ä".encode(), other=b"\xff\x00", inner=[b"x"])))
    assert (row["text"], row["other"], row["inner"]) == ("ä", "/wA=", ["x"])


def test_the_own_columns_come_first_and_text_is_readable() -> None:
    line = failure_to_json(failure("ä.jpg", label="x"))
    assert line.startswith('{"uri": "ä.jpg", "version": "generation:17", "stage": "decode", "reason": "corrupt", ')
    assert line.endswith('"attempts": 2, "label": "x"}')


def test_the_files_hold_each_failure_once_in_lines_of_json(tmp_path: pathlib.Path) -> None:
    with beam.Pipeline(FnApiRunner()) as root:
        lost = root | beam.Create([failure(f"{i}.jpg", n=i) for i in range(25)])
        _ = lost | WriteFailures(str(tmp_path), "RUN", shard_bytes=1000)
    files = sorted(tmp_path.glob("failures/failures-RUN-*.jsonl"))
    assert len(files) > 1
    assert files[0].name == f"failures-RUN-00000-of-{len(files):05d}.jsonl"
    assert sorted(path for path in (tmp_path / "failures").iterdir()) == files
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert sorted((row["uri"], row["n"]) for row in rows) == sorted((f"{i}.jpg", i) for i in range(25))


def test_the_files_are_told_with_their_rows_and_bytes(tmp_path: pathlib.Path) -> None:
    lost = [failure("a.jpg"), failure("b.jpg")]
    name = "failures/failures-RUN-00000-of-00001.jsonl"
    num_bytes = sum(len(failure_to_json(f)) + 1 for f in lost)
    with beam.Pipeline(FnApiRunner()) as root:
        written = root | beam.Create(lost) | WriteFailures(str(tmp_path), "RUN")
        told = written | beam.Map(lambda f: (f.name, f.uris.count, f.num_bytes))
        assert_that(told, equal_to([(name, 2, num_bytes)]))
    assert (tmp_path / name).stat().st_size == num_bytes


def test_no_failures_are_no_file(tmp_path: pathlib.Path) -> None:
    with beam.Pipeline(FnApiRunner()) as root:
        _ = root | beam.Create([], reshuffle=False) | WriteFailures(str(tmp_path), "RUN")
    assert list(tmp_path.rglob("failures-*")) == []


def test_a_file_of_failures_is_an_input_that_carries_their_columns(tmp_path: pathlib.Path) -> None:
    with beam.Pipeline(FnApiRunner()) as root:
        _ = root | beam.Create([failure(f"/{i}.jpg", n=i) for i in range(3)]) | WriteFailures(str(tmp_path), "RUN")
    found = ReadImageUris([str(tmp_path / "failures" / "*.jsonl")]).rows()
    assert sorted(found, key=lambda source: source.uri) == [ImageUri(f"/{i}.jpg", {"n": i}) for i in range(3)]


@pytest.mark.parametrize("uri", ["/a\nb.jpg", '/"a\\.jpg', "/\u2028.jpg", "/🧀.jpg"])
def test_a_failure_is_one_line_whatever_its_uri_holds(tmp_path: pathlib.Path, uri: str) -> None:
    format_ = FailuresFormat()
    format_.write(str(tmp_path / "x"), [format_.encode([failure(uri), failure("b")])])
    assert len((tmp_path / "x").read_bytes().splitlines()) == 2
    lines = [line for chunk in format_.read(str(tmp_path / "x")) for line in chunk]
    assert [json.loads(line)["uri"] for line in lines] == [uri, "b"]


def test_many_failures_are_read_in_the_chunks_of_a_megabyte(tmp_path: pathlib.Path) -> None:
    format_ = FailuresFormat()
    lines = format_.encode([failure(f"/{i}.jpg") for i in range(20_000)])
    format_.write(str(tmp_path / "x"), [lines])
    chunks = list(format_.read(str(tmp_path / "x")))
    assert [line for chunk in chunks for line in chunk] == lines
    assert 1 < len(chunks) < 10


def test_a_part_has_as_many_failures_as_any_part_has_rows_at_most() -> None:
    assert FailuresFormat().rows_per_part == PART_ROWS
