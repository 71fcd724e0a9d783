"""The manifest: the sum that must hold, the one put that makes a run whole, the sweep after it."""

import importlib.metadata
import json
import pathlib
import platform

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests.fake_backbone import spec
from tests.servers.gcs import GcsServer
from transforms import WriteManifest
from transforms.collection.layout import SCRATCH
from transforms.collection.manifest import read_manifest, replaceable_generations
from transforms.commit.accounting import AccountingError
from transforms.commit.claims import abandon, claim
from transforms.commit.commit import DECIDING, Commit, versions
from transforms.storage.gcs import LostRaceError
from transforms.write.shard_plan import WrittenFile

SPEC = spec(dim=4)
INPUTS, DUPLICATES = ("inputs", 10), ("duplicates", 2)
PARQUET = [("embeddings", WrittenFile(f"parquet/embeddings-RUN-0000{i}-of-00002.parquet", 3, 100)) for i in range(2)]
FAILED = ("failures", WrittenFile("failures/failures-RUN-00000-of-00001.jsonl", 2, 10))
ALL = [INPUTS, DUPLICATES, *PARQUET, FAILED]


def leave(folder: pathlib.Path, name: str) -> pathlib.Path:
    """Leave a file of the run before."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("old")
    return path


def names(folder: pathlib.Path) -> list[str]:
    """List all that is below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_run_whose_sum_does_not_hold_fails_without_a_manifest(tmp_path: pathlib.Path) -> None:
    claim(str(tmp_path), "RUN", local=True)
    root = beam.Pipeline(FnApiRunner())
    found = {
        "counts": root | "Counts" >> beam.Create([INPUTS, DUPLICATES]),
        "embeddings": root | "Embeddings" >> beam.Create([file for _, file in PARQUET]),
        "failures": root | "Failures" >> beam.Create([], reshuffle=False),
    }
    _ = found | WriteManifest(str(tmp_path), "RUN", SPEC, "2026-01-01T00:00:00+00:00")
    with pytest.raises(Exception, match="10 inputs, but 8 outcomes"):
        root.run()
    assert read_manifest(str(tmp_path)) is None


def test_the_pipeline_puts_what_it_was_given(tmp_path: pathlib.Path) -> None:
    claim(str(tmp_path), "RUN", local=True)
    with beam.Pipeline(FnApiRunner()) as root:
        found = {
            "counts": root | "Counts" >> beam.Create([INPUTS, DUPLICATES]),
            "embeddings": root | "Embeddings" >> beam.Create([file for _, file in PARQUET]),
            "failures": root | "Failures" >> beam.Create([FAILED[1]]),
            "health": root | "Health" >> beam.Create([{"vectors": 6}]),
            "reasons": root | "Reasons" >> beam.Create([{"corrupt": {"count": 2}}]),
        }
        _ = found | WriteManifest(str(tmp_path), "RUN", SPEC, "2026-01-01T00:00:00+00:00", {"uri": {}})
    manifest = read_manifest(str(tmp_path))
    assert manifest is not None
    assert manifest["run_id"] == "RUN"
    assert manifest["counts"]["embedded"] == 6
    assert manifest["embedding_spec_fingerprint"] == SPEC.fingerprint
    assert manifest["files"] == [
        {"name": "failures/failures-RUN-00000-of-00001.jsonl", "rows": 2, "bytes": 10},
        {"name": "parquet/embeddings-RUN-00000-of-00002.parquet", "rows": 3, "bytes": 100},
        {"name": "parquet/embeddings-RUN-00001-of-00002.parquet", "rows": 3, "bytes": 100},
    ]
    assert (manifest["health"], manifest["failures"]) == ({"vectors": 6}, {"corrupt": {"count": 2}})
    assert manifest["times"]["started"] == "2026-01-01T00:00:00+00:00"
    assert manifest["versions"]["apache-beam"] == beam.__version__
    assert json.loads((tmp_path / "tfrecord" / "features.json").read_text()) == {"uri": {}}
    assert names(tmp_path) == ["manifest.json", "tfrecord", "tfrecord/features.json"]


def test_the_old_runs_files_go_once_the_new_manifest_stands(tmp_path: pathlib.Path) -> None:
    old = leave(tmp_path, "parquet/embeddings-OLD-00000-of-00001.parquet")
    (tmp_path / "manifest.json").write_text('{"run_id": "OLD"}')
    claim(str(tmp_path), "RUN", local=True)
    commit = Commit(str(tmp_path), "RUN", SPEC, "")
    with pytest.raises(AccountingError):
        commit(ALL[1:])
    assert old.exists()
    assert json.loads((tmp_path / "manifest.json").read_text())["run_id"] == "OLD"
    commit(ALL)
    assert not old.exists()
    assert json.loads((tmp_path / "manifest.json").read_text())["run_id"] == "RUN"
    assert not (tmp_path / f"{SCRATCH}RUN").exists()


def test_the_manifest_is_put_last(tmp_path: pathlib.Path) -> None:
    old = leave(tmp_path, "tfrecord/embeddings-OLD-00000-of-00001.tfrecord.gz")
    (tmp_path / "tfrecord" / "features.json").mkdir()
    claim(str(tmp_path), "RUN", local=True)
    with pytest.raises(OSError, match=r"features\.json"):
        Commit(str(tmp_path), "RUN", SPEC, "", {"uri": {}})(ALL)
    assert read_manifest(str(tmp_path)) is None
    assert old.exists()


def test_an_abandoned_run_puts_no_manifest_and_removes_nothing(tmp_path: pathlib.Path) -> None:
    old = leave(tmp_path, "parquet/embeddings-OLD-00000-of-00001.parquet")
    claim(str(tmp_path), "STOPPED", local=True)
    abandon("STOPPED")
    with pytest.raises(RuntimeError, match="STOPPED was abandoned"):
        Commit(str(tmp_path), "STOPPED", SPEC, "")(ALL)
    assert read_manifest(str(tmp_path)) is None
    assert old.exists()


def test_the_manifest_is_given_as_it_was_put(tmp_path: pathlib.Path) -> None:
    claim(str(tmp_path), "RUN", local=True)
    manifest = Commit(str(tmp_path), "RUN", SPEC, "2026-01-01T00:00:00+00:00")(ALL)
    assert json.loads((tmp_path / "manifest.json").read_text()) == json.loads(json.dumps(manifest))
    assert manifest["features"] is None
    assert (manifest["health"], manifest["failures"]) == ({}, {})
    assert names(tmp_path) == ["manifest.json"]


def test_a_run_that_is_committed_again_meets_itself(tmp_path: pathlib.Path) -> None:
    claim(str(tmp_path), "RUN", local=True)
    commit = Commit(str(tmp_path), "RUN", SPEC, "", {"uri": {}})
    assert commit(ALL)["counts"] == commit(ALL)["counts"]
    files = [name for name in names(tmp_path) if (tmp_path / name).is_file()]
    assert files == ["manifest.json", "tfrecord/features.json"]


def test_the_folders_of_the_old_run_go_with_its_files(tmp_path: pathlib.Path) -> None:
    for name in ("parquet/embeddings-OLD-00000-of-00001.parquet", "failures/failures-OLD-00000-of-00001.jsonl"):
        leave(tmp_path, name)
    kept = leave(tmp_path, "failures/notes.txt")
    new = leave(tmp_path, "tfrecord/embeddings-RUN-00000-of-00001.tfrecord.gz")
    claim(str(tmp_path), "RUN", local=True)
    Commit(str(tmp_path), "RUN", SPEC, "")(ALL)
    assert names(tmp_path) == [
        "failures",
        kept.relative_to(tmp_path).as_posix(),
        "manifest.json",
        "tfrecord",
        new.relative_to(tmp_path).as_posix(),
    ]


def commit_to(server: GcsServer, run_id: str, features: dict | None = None) -> Commit:
    """Prepare the commit of a run that begins now, in a bucket."""
    output = f"gs://{server.bucket}/out"
    return Commit(output, run_id, SPEC, "", features, replaceable_generations(output))


def test_a_put_whose_answer_was_lost_meets_itself(strict_gcs: GcsServer) -> None:
    commit = commit_to(strict_gcs, "RUN", {"uri": {}})
    for name in ("features.json", "manifest.json"):
        strict_gcs.fail("lost", matching=f"POST /upload/storage/v1/b/{strict_gcs.bucket}/o")
        assert commit(ALL)["run_id"] == "RUN", name
    assert strict_gcs.names() == ["out/manifest.json", "out/tfrecord/features.json"]


def test_of_two_runs_that_finish_the_first_one_stays(strict_gcs: GcsServer) -> None:
    first, second = commit_to(strict_gcs, "FIRST"), commit_to(strict_gcs, "SECOND")
    first(ALL)
    with pytest.raises(LostRaceError, match="was written by another run meanwhile, and is left as it is"):
        second(ALL)
    assert json.loads(strict_gcs.get("out/manifest.json"))["run_id"] == "FIRST"


def test_a_run_replaces_the_manifest_that_it_saw(strict_gcs: GcsServer) -> None:
    commit_to(strict_gcs, "FIRST", {"uri": {}})(ALL)
    commit_to(strict_gcs, "SECOND", {"uri": {"dtype": "string"}})(ALL)
    assert json.loads(strict_gcs.get("out/manifest.json"))["run_id"] == "SECOND"
    assert json.loads(strict_gcs.get("out/tfrecord/features.json")) == {"uri": {"dtype": "string"}}


def test_what_may_be_replaced_is_looked_up_when_the_transform_is_made(strict_gcs: GcsServer) -> None:
    output = f"gs://{strict_gcs.bucket}/out"
    assert WriteManifest(output, "RUN", SPEC, "").replaceable == {"manifest.json": 0, "tfrecord/features.json": 0}
    assert WriteManifest(output, "RUN", SPEC, "", replaceable={"manifest.json": 7}).replaceable == {"manifest.json": 7}


def test_the_versions_are_those_of_what_decides_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    found = versions()
    assert list(found) == ["python", *DECIDING]
    assert found["python"] == platform.python_version()
    assert found["numpy"] == importlib.metadata.version("numpy")
    monkeypatch.setattr("transforms.commit.commit.DECIDING", ("numpy", "no-such-library"))
    assert versions()["no-such-library"] == ""
