"""What is read again is what was written, with the source of now."""

import pathlib
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that

from tests import collection_files as files
from transforms.core.elements import Embedding, ImageUri
from transforms.core.errors import RunError
from transforms.core.failures import Failure
from transforms.update.compare import Settled
from transforms.update.known import KnownFile
from transforms.update.outcomes import Outcome
from transforms.update.reread import RereadSettled, reread

TOP = (("n1", "tabby", 0.75), ("n2", "tiger cat", 0.25))
ROWS = [files.embedding(f"/{i}.jpg", "generation:1", top=TOP[:: 1 - 2 * (i % 2)], label=i) for i in range(10)]
NOW = {row.source.uri: ImageUri(row.source.uri, {"label": -1}, "generation:2") for row in ROWS}


def same(found: Embedding, written: Embedding, source: ImageUri) -> bool:
    return (
        found.source is source
        and found.facts == written.facts
        and found.top == written.top
        and np.array_equal(found.embedding, written.embedding)
        and found.embedding.dtype == written.embedding.dtype
    )


@pytest.mark.parametrize("name", files.FORMATS)
def test_a_row_has_its_facts_its_vector_and_its_classes_and_the_source_of_now(
    name: str, tmp_path: pathlib.Path
) -> None:
    format_ = files.FORMATS[name](top_k=2)
    file = KnownFile(files.write(format_, tmp_path / "rows", ROWS), False, name)
    wanted = [3, 0, 8]
    found = list(reread(file, [NOW[f"/{i}.jpg"] for i in wanted], {name: format_}))
    assert [one.source.uri for one in found] == ["/0.jpg", "/3.jpg", "/8.jpg"]
    assert all(same(one, ROWS[i], NOW[f"/{i}.jpg"]) for one, i in zip(found, sorted(wanted), strict=True))


@pytest.mark.parametrize("name", files.FORMATS)
def test_a_row_that_a_part_holds_twice_is_read_once(name: str, tmp_path: pathlib.Path) -> None:
    """In one chunk, and in two."""
    format_ = files.FORMATS[name]()
    rows = [files.embedding(uri) for uri in ("/a", "/b", "/a", "/b", "/c", "/a")]
    file = KnownFile(files.write(format_, tmp_path / "rows", rows), True, name)
    found = list(reread(file, [ImageUri("/a"), ImageUri("/b")], {name: format_}))
    assert [one.source.uri for one in found] == ["/a", "/b"]


def test_a_failure_has_all_that_was_said_and_the_source_of_now(tmp_path: pathlib.Path) -> None:
    lost = [files.failure(f"/{i}", "generation:1", label=i) for i in range(3)]
    path = files.write_failures(tmp_path / "failures.jsonl", [*lost, lost[2]])
    source = ImageUri("/2", {"label": 9}, "generation:1")
    (found,) = reread(KnownFile(path, False, ""), [source], {})
    assert found == Failure(source, "fetch", "io_error", "permanent", "OSError", "no /2", 3)


@pytest.mark.parametrize("name", [*files.FORMATS, ""])
def test_what_is_no_longer_there_ends_the_run(name: str, tmp_path: pathlib.Path) -> None:
    if name:
        path = files.write(files.FORMATS[name](), tmp_path / "rows", ROWS[:2])
    else:
        path = files.write_failures(tmp_path / "rows", [files.failure("/0.jpg")])
    formats = {name: files.FORMATS[name]()} if name else {}
    with pytest.raises(RunError, match=rf"{path} was changed while it was read: /9\.jpg is no longer in it"):
        list(reread(KnownFile(path, False, name), [NOW["/0.jpg"], NOW["/9.jpg"]], formats))


def test_a_pipeline_reads_rows_and_failures_from_their_files(tmp_path: pathlib.Path) -> None:
    format_ = files.parquet()
    known = [
        KnownFile(files.write(format_, tmp_path / "a.parquet", ROWS[:5]), False, "parquet"),
        KnownFile(files.write(format_, tmp_path / "b.parquet", ROWS[5:]), True, "parquet"),
        KnownFile(files.write_failures(tmp_path / "c.jsonl", [files.failure("/lost")]), False, ""),
    ]
    settled = [
        Settled("x", Outcome.REVISE, NOW["/1.jpg"], 0),
        Settled("x", Outcome.SAME, NOW["/2.jpg"]),
        Settled("x", Outcome.TAKE, NOW["/7.jpg"], 1),
        Settled("x", Outcome.FAILED, ImageUri("/lost"), 2),
    ]

    def check_rows(found: list[Embedding]) -> None:
        by_uri = {one.source.uri: one for one in found}
        assert sorted(by_uri) == ["/1.jpg", "/7.jpg"]
        assert [np.array_equal(by_uri[f"/{i}.jpg"].embedding, ROWS[i].embedding) for i in (1, 7)] == [True, True]
        assert [by_uri[f"/{i}.jpg"].source for i in (1, 7)] == [NOW["/1.jpg"], NOW["/7.jpg"]]

    def check_failures(found: list[Any]) -> None:
        assert [(type(one), one.source.uri) for one in found] == [(Failure, "/lost")]

    with beam.Pipeline(FnApiRunner()) as root:
        rows, lost = root | beam.Create(settled) | RereadSettled(known, {"parquet": format_})
        assert_that(rows, check_rows, "Rows")
        assert_that(lost, check_failures, "Failures")
