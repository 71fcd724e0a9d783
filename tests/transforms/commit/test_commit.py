"""The manifest: the sum that must hold, the one put that makes a run whole, the sweep after it."""

import json
import pathlib
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms import EmbeddingSpec, WriteManifest
from transforms.commit.claims import abandon, claim
from transforms.commit.commit import AccountingError, Commit, account, read_manifest
from transforms.write.shards import SCRATCH, WrittenFile

INPUTS, DUPLICATES = ("inputs", 10), ("duplicates", 2)
PARQUET = [("embeddings", WrittenFile(f"embeddings-RUN-0000{i}-of-00002.parquet", 3, 100)) for i in range(2)]
TFRECORD = ("embeddings", WrittenFile("embeddings-RUN-00000-of-00001.tfrecord.gz", 6, 100))
FAILED = ("failures", WrittenFile("failures-RUN-00000-of-00001.jsonl", 2, 10))
ALL = [INPUTS, DUPLICATES, *PARQUET, FAILED]


@pytest.fixture
def spec() -> EmbeddingSpec:
    values: dict[str, Any] = dict.fromkeys(EmbeddingSpec.__dataclass_fields__, "x")
    return EmbeddingSpec(**{**values, "dim": 4, "image_size": (2, 2), "decoded_for": (2, 2)})


def test_the_counts_are_those_of_what_was_written() -> None:
    counts = {"inputs": 10, "embedded": 6, "failed": 2, "skipped": 0, "duplicates": 2}
    assert account(ALL) == counts
    assert account([*ALL, TFRECORD]) == counts
    assert account([("inputs", 4), ("inputs", 6), DUPLICATES, *PARQUET, FAILED]) == counts
    assert account([]) == dict.fromkeys(counts, 0)


@pytest.mark.parametrize("missing", range(len(ALL)))
def test_a_sum_that_does_not_hold_is_an_error(missing: int) -> None:
    with pytest.raises(AccountingError, match="outcomes"):
        account(ALL[:missing] + ALL[missing + 1 :])


def test_something_doubled_is_an_error_too() -> None:
    with pytest.raises(AccountingError, match="10 inputs, but 12 outcomes"):
        account([*ALL, FAILED])


def test_formats_that_differ_are_an_error() -> None:
    with pytest.raises(AccountingError, match="different numbers"):
        account([*ALL, ("embeddings", WrittenFile("embeddings-RUN-00000-of-00001.tfrecord.gz", 5, 1))])


def test_a_run_whose_sum_does_not_hold_fails_without_a_manifest(spec: EmbeddingSpec, tmp_path: pathlib.Path) -> None:
    claim(str(tmp_path), "RUN", local=True)
    root = beam.Pipeline(FnApiRunner())
    found = {
        "counts": root | "Counts" >> beam.Create([INPUTS, DUPLICATES]),
        "embeddings": root | "Embeddings" >> beam.Create([file for _, file in PARQUET]),
        "failures": root | "Failures" >> beam.Create([], reshuffle=False),
    }
    _ = found | WriteManifest(str(tmp_path), "RUN", spec, "2026-01-01T00:00:00+00:00")
    with pytest.raises(Exception, match="10 inputs, but 8 outcomes"):
        root.run()
    assert read_manifest(str(tmp_path)) is None


def test_the_pipeline_puts_what_it_was_given(spec: EmbeddingSpec, tmp_path: pathlib.Path) -> None:
    claim(str(tmp_path), "RUN", local=True)
    with beam.Pipeline(FnApiRunner()) as root:
        found = {
            "counts": root | "Counts" >> beam.Create([INPUTS, DUPLICATES]),
            "embeddings": root | "Embeddings" >> beam.Create([file for _, file in PARQUET]),
            "failures": root | "Failures" >> beam.Create([FAILED[1]]),
            "health": root | "Health" >> beam.Create([{"vectors": 6}]),
            "reasons": root | "Reasons" >> beam.Create([{"corrupt": {"count": 2}}]),
        }
        _ = found | WriteManifest(str(tmp_path), "RUN", spec, "2026-01-01T00:00:00+00:00", {"uri": {}})
    manifest = read_manifest(str(tmp_path))
    assert manifest is not None
    assert manifest["run_id"] == "RUN"
    assert manifest["counts"]["embedded"] == 6
    assert manifest["embedding_spec_fingerprint"] == spec.fingerprint
    assert manifest["files"] == [
        {"name": "embeddings-RUN-00000-of-00002.parquet", "rows": 3, "bytes": 100},
        {"name": "embeddings-RUN-00001-of-00002.parquet", "rows": 3, "bytes": 100},
        {"name": "failures-RUN-00000-of-00001.jsonl", "rows": 2, "bytes": 10},
    ]
    assert (manifest["health"], manifest["failures"]) == ({"vectors": 6}, {"corrupt": {"count": 2}})
    assert manifest["times"]["started"] == "2026-01-01T00:00:00+00:00"
    assert manifest["versions"]["apache-beam"] == beam.__version__
    assert json.loads((tmp_path / "features.json").read_text()) == {"uri": {}}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features.json", "manifest.json"]


def test_the_old_runs_files_go_once_the_new_manifest_stands(spec: EmbeddingSpec, tmp_path: pathlib.Path) -> None:
    old = tmp_path / "embeddings-OLD-00000-of-00001.parquet"
    old.write_text("old")
    (tmp_path / "manifest.json").write_text('{"run_id": "OLD"}')
    claim(str(tmp_path), "RUN", local=True)
    commit = Commit(str(tmp_path), "RUN", spec, "")
    with pytest.raises(AccountingError):
        commit(ALL[1:])
    assert old.exists()
    assert json.loads((tmp_path / "manifest.json").read_text())["run_id"] == "OLD"
    commit(ALL)
    assert not old.exists()
    assert json.loads((tmp_path / "manifest.json").read_text())["run_id"] == "RUN"
    assert not (tmp_path / f"{SCRATCH}RUN").exists()


def test_the_manifest_is_put_last(spec: EmbeddingSpec, tmp_path: pathlib.Path) -> None:
    old = tmp_path / "embeddings-OLD-00000-of-00001.tfrecord.gz"
    old.write_text("old")
    (tmp_path / "features.json").mkdir()
    claim(str(tmp_path), "RUN", local=True)
    with pytest.raises(OSError, match=r"features\.json"):
        Commit(str(tmp_path), "RUN", spec, "", {"uri": {}})(ALL)
    assert read_manifest(str(tmp_path)) is None
    assert old.exists()


def test_an_abandoned_run_puts_no_manifest_and_removes_nothing(spec: EmbeddingSpec, tmp_path: pathlib.Path) -> None:
    old = tmp_path / "embeddings-OLD-00000-of-00001.parquet"
    old.write_text("old")
    claim(str(tmp_path), "STOPPED", local=True)
    abandon("STOPPED")
    with pytest.raises(RuntimeError, match="STOPPED was abandoned"):
        Commit(str(tmp_path), "STOPPED", spec, "")(ALL)
    assert read_manifest(str(tmp_path)) is None
    assert old.exists()


def test_there_is_no_manifest_where_nothing_ran(tmp_path: pathlib.Path) -> None:
    assert read_manifest(str(tmp_path)) is None
    assert read_manifest(str(tmp_path / "nowhere")) is None
