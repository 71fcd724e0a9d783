"""Failures that stand are counted by reason, with examples that hold no secret."""

import pathlib

import pytest

from pipelines.report.failures import EXAMPLES, reasons_of
from tests.collection_files import collection, embedding, failure
from transforms.core.errors import RunError

ROWS = [embedding("/good.jpg", label=0)]


def test_each_reason_has_its_number_and_some_examples(tmp_path: pathlib.Path) -> None:
    lost = [failure(f"/{i}.jpg", label=0) for i in range(5)]
    lost += [failure("https://me:secret@host/a.jpg?sig=secret\u202e", reason="http_404", kind="transient", label=0)]
    manifest = collection(tmp_path, ROWS, lost)
    first, second = reasons_of(str(tmp_path), manifest)
    assert (first.name, first.images, first.kind, len(first.examples)) == ("io_error", 5, "permanent", EXAMPLES)
    assert first.meaning == "the filesystem failed while reading"
    assert (second.images, second.kind) == (1, "transient")
    assert second.meaning.startswith("the final answer of the server")
    ((uri, message),) = second.examples
    assert "secret" not in uri + message
    assert "\u202e" not in uri + message


def test_a_collection_without_failures_has_none(tmp_path: pathlib.Path) -> None:
    assert reasons_of(str(tmp_path), collection(tmp_path, ROWS)) == []


def test_a_file_that_is_gone_or_was_cut_fails_with_its_name(tmp_path: pathlib.Path) -> None:
    manifest = collection(tmp_path, ROWS, [failure("/a.jpg", label=0)])
    (path,) = tmp_path.glob("failures/*")
    path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(RunError, match=rf"cannot read {path}; if a run"):
        reasons_of(str(tmp_path), manifest)
    path.unlink()
    with pytest.raises(RunError, match=rf"cannot read {path}; if a run"):
        reasons_of(str(tmp_path), manifest)
