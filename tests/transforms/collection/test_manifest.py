"""The manifest is read where it stands, and it is known what a commit may replace."""

import datetime
import json
import pathlib
from typing import Any, get_type_hints

import pytest

from tests.servers.gcs import GcsServer
from transforms.collection.layout import FEATURES, MANIFEST
from transforms.collection.manifest import (
    Manifest,
    committed_run,
    named_files,
    now,
    read_manifest,
    replaceable_versions,
    runs_of,
    stands,
)

CONTENT: dict[str, Any] = {"run_id": "RUN", "files": [{"name": "parquet/ä.parquet", "rows": 1, "bytes": 2}]}


@pytest.mark.parametrize("end", ["", "/"])
def test_a_manifest_is_read_as_it_was_written(tmp_path: pathlib.Path, end: str) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(CONTENT, ensure_ascii=False), encoding="utf-8")
    assert read_manifest(f"{tmp_path}{end}") == CONTENT


def test_there_is_no_manifest_where_nothing_ran(tmp_path: pathlib.Path) -> None:
    assert read_manifest(str(tmp_path)) is None
    assert read_manifest(str(tmp_path / "nowhere")) is None


@pytest.mark.parametrize("text", ['{"run_id": ', "", "[]", "{}", '{"run_id": 7}', "\xff"])
def test_a_manifest_that_is_none_is_an_error_and_names_no_run(tmp_path: pathlib.Path, text: str) -> None:
    """As a loss of power leaves it where nothing was synced, or another program writes one. (1b)"""
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"run_id|Expecting|decode"):
        read_manifest(str(tmp_path))
    assert committed_run(str(tmp_path)) == ""


def test_the_run_that_stands_is_known(tmp_path: pathlib.Path) -> None:
    assert committed_run(str(tmp_path)) == ""
    (tmp_path / "manifest.json").write_text(json.dumps(CONTENT))
    assert committed_run(str(tmp_path)) == "RUN"


def test_a_manifest_of_a_bucket_is_read(gcs: GcsServer) -> None:
    assert read_manifest(f"gs://{gcs.bucket}/out") is None
    gcs.put("out/manifest.json", json.dumps(CONTENT).encode())
    assert read_manifest(f"gs://{gcs.bucket}/out") == CONTENT


def test_what_a_commit_may_replace_on_the_disk_is_what_stands_there_now(tmp_path: pathlib.Path) -> None:
    seen = []
    for text in ("", "{}", "{ }"):
        (tmp_path / "manifest.json").write_text(text) if text else None
        seen.append(replaceable_versions(f"{tmp_path}/")[MANIFEST])
        assert replaceable_versions(str(tmp_path)) == {MANIFEST: seen[-1], FEATURES: ""}
    assert seen[0] == ""
    assert len(set(seen)) == 3


def test_what_a_commit_may_replace_in_a_bucket_is_what_stands_there_now(strict_gcs: GcsServer) -> None:
    output = f"gs://{strict_gcs.bucket}/out"
    assert replaceable_versions(output) == {MANIFEST: "", FEATURES: ""}
    strict_gcs.put("out/manifest.json", b"{}")
    first = replaceable_versions(output)
    assert int(first[MANIFEST]) > 0
    assert first[FEATURES] == ""
    strict_gcs.put("out/manifest.json", b"{ }")
    strict_gcs.put("out/tfrecord/features.json", b"{}")
    second = replaceable_versions(f"{output}/")
    assert int(second[MANIFEST]) > int(first[MANIFEST])
    assert int(second[FEATURES]) > 0


def test_a_bucket_that_cannot_be_asked_is_an_os_error(gcs: GcsServer) -> None:
    gcs.fail(403, matching="/o/out%2Fmanifest.json")
    with pytest.raises(OSError, match="cannot look at gs://"):
        replaceable_versions(f"gs://{gcs.bucket}/out")


def test_now_is_utc_to_the_second() -> None:
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    said = now()
    assert before <= datetime.datetime.fromisoformat(said) <= datetime.datetime.now(datetime.UTC)
    assert said.endswith("+00:00")
    assert len(said) == len("2026-01-01T00:00:00+00:00")


def test_the_fields_of_a_manifest_are_those_that_readers_of_it_know() -> None:
    assert list(get_type_hints(Manifest)) == [
        "run_id",
        "counts",
        "embedding_spec",
        "embedding_spec_fingerprint",
        "collection",
        "changes",
        "top_k",
        "files",
        "failures",
        "health",
        "canary",
        "workers",
        "features",
        "versions",
        "times",
    ]


COLLECTION = {**CONTENT, "collection": {"rows": 1, "columns": "", "runs": [{"run_id": "FIRST"}, {"run_id": "RUN"}]}}


@pytest.mark.parametrize(
    ("content", "standing"),
    [
        (CONTENT, {"RUN"}),
        ({"run_id": "RUN"}, {"RUN"}),
        (COLLECTION, {"FIRST", "RUN"}),
        ({**COLLECTION, "run_id": "LAST"}, {"FIRST", "RUN", "LAST"}),
    ],
    ids=["older", "oldest", "collection", "collection of many runs"],
)
def test_a_run_stands_that_made_or_changed_the_collection(
    content: dict[str, Any], standing: set[str], tmp_path: pathlib.Path
) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    assert {run for run in ("FIRST", "RUN", "LAST", "OTHER", "") if stands(str(tmp_path), run)} == standing
    assert committed_run(str(tmp_path)) == content["run_id"]


def test_the_files_that_a_manifest_names_are_known(tmp_path: pathlib.Path) -> None:
    assert named_files(str(tmp_path)) == set()
    for content, names in ((CONTENT, {"parquet/ä.parquet"}), ({"run_id": "RUN"}, set())):
        (tmp_path / "manifest.json").write_text(json.dumps(content))
        assert named_files(f"{tmp_path}/") == names


@pytest.mark.parametrize("text", [None, "", "{half", "[]"])
def test_where_no_manifest_is_no_run_stands_and_no_file_is_named(text: str | None, tmp_path: pathlib.Path) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    assert not stands(str(tmp_path), "RUN")
    assert not stands(str(tmp_path), "")
    assert named_files(str(tmp_path)) == set()


def test_the_runs_of_a_manifest_are_in_their_order() -> None:
    assert [run["run_id"] for run in runs_of(COLLECTION)] == ["FIRST", "RUN"]  # type: ignore[arg-type]
    assert runs_of(CONTENT) == []  # type: ignore[arg-type]
