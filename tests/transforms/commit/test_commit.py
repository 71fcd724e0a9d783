"""The manifest: the sum that must hold, the one put that makes a run whole, the sweep after it."""

import concurrent.futures
import importlib.metadata
import json
import logging
import os
import pathlib
import platform
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests.fake_backbone import spec
from tests.servers.gcs import GcsServer
from transforms import WriteManifest
from transforms.collection.layout import SCRATCH, new_run_id
from transforms.collection.manifest import read_manifest, replaceable_versions, stands
from transforms.commit.accounting import AccountingError
from transforms.commit.claims import claim
from transforms.commit.commit import DECIDING, Commit, versions
from transforms.commit.leftovers import Ended, end
from transforms.core.errors import RunError
from transforms.core.uri_sum import UriSum
from transforms.storage.files import move
from transforms.write.shard_plan import StandingFile, WrittenFile

SPEC = spec(dim=4)
URIS = [f"/photos/{i}.jpg" for i in range(8)]
INPUTS, DUPLICATES = ("inputs", UriSum.of([*URIS, *URIS[:2]])), ("duplicates", UriSum.of(URIS[:2]))


def outcomes(run_id: str) -> list[tuple[str, Any]]:
    """Return what a run has found and written when it is committed."""
    parquet = [f"parquet/embeddings-{run_id}-0000{i}-of-00002.parquet" for i in range(2)]
    return [
        INPUTS,
        DUPLICATES,
        *(("embeddings", WrittenFile(name, UriSum.of(URIS[3 * i :][:3]), 100)) for i, name in enumerate(parquet)),
        ("failures", WrittenFile(f"failures/failures-{run_id}-00000-of-00001.jsonl", UriSum.of(URIS[6:]), 10)),
    ]


ALL = outcomes("RUN")
STARTED = "2026-01-01T00:00:00+00:00"
FILES = [value for _, value in ALL if isinstance(value, WrittenFile)]
WRITTEN = [
    "failures",
    "failures/failures-RUN-00000-of-00001.jsonl",
    "parquet",
    "parquet/embeddings-RUN-00000-of-00002.parquet",
    "parquet/embeddings-RUN-00001-of-00002.parquet",
]


def begin(folder: pathlib.Path, run_id: str = "RUN") -> list[tuple[str, Any]]:
    """Claim a folder and write the files of a run; return its outcomes."""
    claim(str(folder), run_id, local=True)
    for _, value in outcomes(run_id):
        if isinstance(value, WrittenFile):
            leave(folder, value.name, "x" * value.num_bytes)
    return outcomes(run_id)


def begin_in(server: GcsServer, run_id: str, features: dict | None = None) -> tuple[Commit, list[tuple[str, Any]]]:
    """Write the files of a run to a bucket; return its commit, as it is made when a run begins, and its outcomes."""
    output = f"gs://{server.bucket}/out"
    claim(output, run_id, local=True)
    for _, value in outcomes(run_id):
        if isinstance(value, WrittenFile):
            server.put(f"out/{value.name}", b"x" * value.num_bytes)
    return Commit(output, run_id, SPEC, STARTED, features, replaceable_versions(output), claimed=True), outcomes(run_id)


def leave(folder: pathlib.Path, name: str, text: str = "old") -> pathlib.Path:
    """Leave a file, of the run before unless it is said otherwise."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def commit_of(folder: pathlib.Path, run_id: str = "RUN", features: dict | None = None) -> Commit:
    """Return the commit of a run that begins now."""
    return Commit(str(folder), run_id, SPEC, STARTED, features, replaceable_versions(str(folder)), claimed=True)


def names(folder: pathlib.Path) -> list[str]:
    """List all that is below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_run_whose_sum_does_not_hold_fails_without_a_manifest(tmp_path: pathlib.Path) -> None:
    claim(str(tmp_path), "RUN", local=True)
    root = beam.Pipeline(FnApiRunner())
    found = {
        "counts": root | "Counts" >> beam.Create([INPUTS, DUPLICATES]),
        "embeddings": root | "Embeddings" >> beam.Create(FILES[:2]),
        "failures": root | "Failures" >> beam.Create([], reshuffle=False),
    }
    _ = found | WriteManifest(str(tmp_path), "RUN", SPEC, "2026-01-01T00:00:00+00:00")
    with pytest.raises(Exception, match="10 inputs, but 8 outcomes"):
        root.run()
    assert read_manifest(str(tmp_path)) is None


def test_the_pipeline_puts_what_it_was_given(tmp_path: pathlib.Path) -> None:
    begin(tmp_path)
    with beam.Pipeline(FnApiRunner()) as root:
        found = {
            "counts": root | "Counts" >> beam.Create([INPUTS, DUPLICATES]),
            "embeddings": root | "Embeddings" >> beam.Create(FILES[:2]),
            "failures": root | "Failures" >> beam.Create(FILES[2:]),
            "health": root | "Health" >> beam.Create([{"vectors": 6}]),
            "reasons": root | "Reasons" >> beam.Create([{"corrupt": {"count": 2}}]),
            "canaries": root
            | "Canaries" >> beam.Create([{"canary": {"shape": [8, 4]}, "workers": [{"device": "CPU"}]}]),
        }
        _ = found | WriteManifest(str(tmp_path), "RUN", SPEC, "2026-01-01T00:00:00+00:00", {"uri": {}})
    manifest = read_manifest(str(tmp_path))
    assert manifest is not None
    assert manifest["run_id"] == "RUN"
    assert manifest["counts"]["embedded"] == 6
    assert manifest["embedding_spec_fingerprint"] == SPEC.fingerprint
    assert manifest["files"] == [
        {"name": file.name, "rows": file.uris.count, "uris": f"{file.uris.hashes:016x}", "bytes": file.num_bytes}
        for file in sorted(FILES, key=lambda file: file.name)
    ]
    assert (manifest["health"], manifest["failures"]) == ({"vectors": 6}, {"corrupt": {"count": 2}})
    assert (manifest["canary"], manifest["workers"]) == ({"shape": [8, 4]}, [{"device": "CPU"}])
    assert manifest["times"]["started"] == "2026-01-01T00:00:00+00:00"
    assert manifest["versions"]["apache-beam"] == beam.__version__
    assert json.loads((tmp_path / "tfrecord" / "features.json").read_text()) == {"uri": {}}
    assert names(tmp_path) == sorted([*WRITTEN, "manifest.json", "tfrecord", "tfrecord/features.json"])


def test_the_old_runs_files_go_once_the_new_manifest_stands(tmp_path: pathlib.Path) -> None:
    old = leave(tmp_path, "parquet/embeddings-OLD-00000-of-00001.parquet")
    (tmp_path / "manifest.json").write_text('{"run_id": "OLD"}')
    begin(tmp_path)
    commit = commit_of(tmp_path)
    with pytest.raises(AccountingError):
        commit(ALL[1:])
    assert old.exists()
    assert json.loads((tmp_path / "manifest.json").read_text())["run_id"] == "OLD"
    commit(ALL)
    assert not old.exists()
    assert json.loads((tmp_path / "manifest.json").read_text())["run_id"] == "RUN"
    assert not (tmp_path / f"{SCRATCH}RUN").exists()


@pytest.mark.parametrize("broken", ["features.json cannot be written", "an old shard cannot be removed"])
def test_what_fails_after_the_manifest_stands_is_said_and_changes_nothing(
    tmp_path: pathlib.Path, broken: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data is there: a command that failed now would be run again, or reported as lost. (1c)"""
    old = leave(tmp_path, "parquet/embeddings-OLD-00000-of-00001.parquet")
    begin(tmp_path)
    commit = commit_of(tmp_path, features={"uri": {}})
    if broken == "features.json cannot be written":
        (tmp_path / "tfrecord" / "features.json").mkdir(parents=True)
    else:
        remove = os.remove

        def refuse(path: str) -> None:
            if path == str(old):
                raise PermissionError(f"not permitted: {path}")
            remove(path)

        monkeypatch.setattr("os.remove", refuse)
    with caplog.at_level(logging.WARNING, "transforms"):
        assert commit(ALL)["run_id"] == "RUN"
    assert read_manifest(str(tmp_path))["run_id"] == "RUN"
    (said,) = [record.message for record in caplog.records]
    assert said.startswith(
        f"{tmp_path}/tfrecord/features.json is not that of run RUN, which stands: "
        if broken == "features.json cannot be written"
        else f"what run OLD left in {tmp_path} cannot be removed: not permitted: "
    )


@pytest.mark.parametrize("owner", ["", "[]", "7", "null", '{"pid": "x"}', "{half"])
def test_a_claim_that_is_no_claim_does_not_hinder_a_commit(
    tmp_path: pathlib.Path, owner: str, caplog: pytest.LogCaptureFixture
) -> None:
    """(1c)"""
    leave(tmp_path, f"{SCRATCH}OLD/owner.json", owner)
    begin(tmp_path)
    with caplog.at_level(logging.WARNING, "transforms"):
        assert commit_of(tmp_path)(ALL)["run_id"] == "RUN"
    assert caplog.records == []


def test_a_run_whose_claim_is_gone_is_not_committed_and_removes_nothing(tmp_path: pathlib.Path) -> None:
    """Its job runs on after it was ended, or another run took it for dead and removes its files. (1e)"""
    old = leave(tmp_path, "parquet/embeddings-OLD-00000-of-00001.parquet")
    begin(tmp_path)
    commit = commit_of(tmp_path)
    (tmp_path / f"{SCRATCH}RUN" / "owner.json").unlink()
    with pytest.raises(RunError, match=f"run RUN has lost its claim on {tmp_path}: it was ended, or taken for dead"):
        commit(ALL)
    assert read_manifest(str(tmp_path)) is None
    assert old.exists()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
@pytest.mark.parametrize("change", ["remove", "shorten"])
def test_a_run_one_of_whose_files_is_gone_is_not_committed(
    tmp_path: pathlib.Path, file: WrittenFile, change: str
) -> None:
    """(1e)"""
    begin(tmp_path)
    if change == "remove":
        (tmp_path / file.name).unlink()
    else:
        (tmp_path / file.name).write_text("")
    with pytest.raises(RunError, match=f"{file.name} was removed or changed before the commit"):
        commit_of(tmp_path)(ALL)
    assert read_manifest(str(tmp_path)) is None


def test_a_transform_of_your_own_pipeline_is_committed_without_a_claim(tmp_path: pathlib.Path) -> None:
    begin(tmp_path)
    (tmp_path / f"{SCRATCH}RUN" / "owner.json").unlink()
    assert Commit(str(tmp_path), "RUN", SPEC, STARTED)(ALL)["run_id"] == "RUN"


def test_the_manifest_is_given_as_it_was_put(tmp_path: pathlib.Path) -> None:
    begin(tmp_path)
    manifest = Commit(str(tmp_path), "RUN", SPEC, "2026-01-01T00:00:00+00:00")(ALL)
    assert json.loads((tmp_path / "manifest.json").read_text()) == json.loads(json.dumps(manifest))
    assert manifest["features"] is None
    assert (manifest["health"], manifest["failures"]) == ({}, {})
    assert (manifest["canary"], manifest["workers"]) == (None, [])
    assert names(tmp_path) == sorted([*WRITTEN, "manifest.json"])


def test_a_run_that_is_committed_again_meets_itself(tmp_path: pathlib.Path) -> None:
    begin(tmp_path)
    commit = commit_of(tmp_path, features={"uri": {}})
    assert commit(ALL)["counts"] == commit(ALL)["counts"]
    assert names(tmp_path) == sorted([*WRITTEN, "manifest.json", "tfrecord", "tfrecord/features.json"])


def test_the_folders_of_the_old_run_go_with_its_files(tmp_path: pathlib.Path) -> None:
    leave(tmp_path, "tfrecord/embeddings-OLD-00000-of-00001.tfrecord.gz")
    leave(tmp_path, "failures/failures-OLD-00000-of-00001.jsonl")
    leave(tmp_path, "tfrecord/features.json", "{}")
    kept = leave(tmp_path, "failures/notes.txt")
    begin(tmp_path)
    commit_of(tmp_path)(ALL)
    assert names(tmp_path) == sorted([*WRITTEN, "manifest.json", kept.relative_to(tmp_path).as_posix()])


def test_of_two_runs_that_finish_the_first_one_stays_and_the_other_names_it(tmp_path: pathlib.Path) -> None:
    """Whether or not there was a run before them. (1a)"""
    for first, second in (("A", "B"), ("C", "D")):
        found = {run: begin(tmp_path, run) for run in (first, second)}
        commits = {run: commit_of(tmp_path, run) for run in (first, second)}
        commits[first](found[first])
        with pytest.raises(RunError, match=f"run {first} was committed to {tmp_path} meanwhile, and stands"):
            commits[second](found[second])
        assert read_manifest(str(tmp_path))["run_id"] == first
        end(str(tmp_path), second)
    assert [name for name in names(tmp_path) if "." in name] == [
        "failures/failures-C-00000-of-00001.jsonl",
        "manifest.json",
        "parquet/embeddings-C-00000-of-00002.parquet",
        "parquet/embeddings-C-00001-of-00002.parquet",
    ]


def test_of_two_threads_that_commit_at_once_one_does(tmp_path: pathlib.Path) -> None:
    """(1a)"""
    for _ in range(10):
        runs = [new_run_id() for _ in range(4)]
        found = {run: begin(tmp_path, run) for run in runs}
        commits = {run: commit_of(tmp_path, run) for run in runs}

        def commit(run: str, commits: dict = commits, found: dict = found) -> str:
            try:
                return commits[run](found[run])["run_id"]
            except RunError as e:
                return str(e)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            ends = list(pool.map(commit, runs))
        (committed,) = set(ends) & set(runs)
        assert read_manifest(str(tmp_path))["run_id"] == committed
        assert [end for end in ends if end != committed] == [
            f"run {committed} was committed to {tmp_path} meanwhile, and stands"
        ] * 3
        for run in runs:
            end(str(tmp_path), run)


@pytest.mark.parametrize("there", ["", "{half", "[]"])
def test_a_manifest_that_cannot_be_read_is_replaced(tmp_path: pathlib.Path, there: str) -> None:
    """(1b)"""
    leave(tmp_path, "manifest.json", there)
    begin(tmp_path)
    commit_of(tmp_path)(ALL)
    assert read_manifest(str(tmp_path))["run_id"] == "RUN"


def test_a_put_whose_answer_was_lost_meets_itself(strict_gcs: GcsServer) -> None:
    commit, found = begin_in(strict_gcs, "RUN", {"uri": {}})
    for name in ("manifest.json", "features.json"):
        strict_gcs.fail("lost", matching=f"POST /upload/storage/v1/b/{strict_gcs.bucket}/o")
        assert commit(found)["run_id"] == "RUN", name
    assert strict_gcs.names() == sorted(
        ["out/manifest.json", "out/tfrecord/features.json", *(f"out/{file.name}" for file in FILES)]
    )


def test_of_two_runs_that_finish_in_a_bucket_the_first_one_stays(strict_gcs: GcsServer) -> None:
    (first, firsts), (second, seconds) = begin_in(strict_gcs, "FIRST"), begin_in(strict_gcs, "SECOND")
    first(firsts)
    with pytest.raises(RunError, match=r"run FIRST was committed to gs://.*/out meanwhile, and stands"):
        second(seconds)
    assert json.loads(strict_gcs.get("out/manifest.json"))["run_id"] == "FIRST"


def test_a_run_replaces_the_manifest_that_it_saw(strict_gcs: GcsServer) -> None:
    for run_id, features in (("FIRST", {"uri": {}}), ("SECOND", {"uri": {"dtype": "string"}})):
        commit, found = begin_in(strict_gcs, run_id, features)
        commit(found)
    assert json.loads(strict_gcs.get("out/manifest.json"))["run_id"] == "SECOND"
    assert json.loads(strict_gcs.get("out/tfrecord/features.json")) == {"uri": {"dtype": "string"}}


def test_what_may_be_replaced_is_looked_up_when_the_transform_is_made(strict_gcs: GcsServer) -> None:
    output = f"gs://{strict_gcs.bucket}/out"
    assert WriteManifest(output, "RUN", SPEC, STARTED).replaceable == {
        "manifest.json": "",
        "tfrecord/features.json": "",
    }
    seen = {"manifest.json": "7"}
    assert WriteManifest(output, "RUN", SPEC, STARTED, replaceable=seen).replaceable == seen


def test_all_that_a_commit_needs_is_on_the_disk_before_the_old_run_goes(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a loss of power there is the old run or the new one: no manifest of no bytes, or of lost files. (1b)"""
    old = leave(tmp_path, "parquet/embeddings-OLD-00000-of-00001.parquet")
    leave(tmp_path, "manifest.json", '{"run_id": "OLD"}')
    calls: list[tuple[str, str]] = []
    fsync, replace, remove = os.fsync, os.replace, os.remove

    def noted_fsync(descriptor: int) -> None:
        calls.append(("fsync", os.path.relpath(os.readlink(f"/proc/self/fd/{descriptor}"), tmp_path)))
        fsync(descriptor)

    def noted_replace(source: str, destination: str) -> None:
        calls.append(("rename", os.path.relpath(destination, tmp_path)))
        replace(source, destination)

    def noted_remove(path: str) -> None:
        calls.append(("remove", os.path.relpath(path, tmp_path)))
        remove(path)

    monkeypatch.setattr("os.fsync", noted_fsync)
    monkeypatch.setattr("os.replace", noted_replace)
    monkeypatch.setattr("os.remove", noted_remove)
    claim(str(tmp_path), "RUN", local=True)
    for file in FILES:
        part = leave(tmp_path, f"{SCRATCH}RUN/part-of-{file.name.replace('/', '-')}", "x" * file.num_bytes)
        move(str(part), str(tmp_path / file.name))
    commit_of(tmp_path)(ALL)
    manifest, gone = calls.index(("rename", "manifest.json")), calls.index(("remove", str(old.relative_to(tmp_path))))
    for file in FILES:
        renamed = calls.index(("rename", file.name))
        part = f"{SCRATCH}RUN/part-of-{file.name.replace('/', '-')}"
        assert ("fsync", part) in calls[:renamed]
        assert ("fsync", os.path.dirname(file.name)) in calls[renamed:manifest]
    # The folders of the output are made, and named on the disk, before a file in them is.
    assert ("fsync", ".") in calls[: calls.index(("fsync", "failures"))]
    assert ("fsync", f"{SCRATCH}RUN/manifest.json") in calls[:manifest]
    assert ("fsync", ".") in calls[manifest:gone]


def test_the_versions_are_those_of_what_decides_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    found = versions()
    assert list(found) == ["python", *DECIDING]
    assert found["python"] == platform.python_version()
    assert found["numpy"] == importlib.metadata.version("numpy")
    monkeypatch.setattr("transforms.commit.commit.DECIDING", ("numpy", "no-such-library"))
    assert versions()["no-such-library"] == ""


def updates(folder: pathlib.Path, run_id: str, rows: str, **arguments: Any) -> tuple[Commit, list[tuple[str, Any]]]:
    """Begin an update that adds a row for each character; return its commit and its outcomes, all files kept."""
    claim(str(folder), run_id, local=True)
    manifest = read_manifest(str(folder))
    entries = manifest["files"] if manifest else []
    standing = [StandingFile(e["name"], UriSum(e["rows"], int(e["uris"], 16)), e["bytes"]) for e in entries]
    new = WrittenFile(f"parquet/embeddings-{run_id}-00000-of-00001.parquet", UriSum.of(rows), 5)
    leave(folder, new.name, "x" * new.num_bytes)
    found: list[tuple[str, Any]] = [
        ("inputs", UriSum.of(rows)),
        ("embeddings", new),
        *(("standing", file) for file in standing),
        *(("embeddings", WrittenFile(file.name, file.uris, file.num_bytes)) for file in standing),
    ]
    seen = replaceable_versions(str(folder))
    commit = Commit(
        str(folder), run_id, SPEC, STARTED, None, seen, claimed=True, updates=manifest is not None, **arguments
    )
    return commit, found


def test_a_run_that_updates_adds_itself_to_those_that_made_the_collection(tmp_path: pathlib.Path) -> None:
    for run_id, rows in (("A", "abc"), ("B", "de"), ("C", "f")):
        commit, found = updates(tmp_path, run_id, rows, columns="schema", vector_type="fixed_size_list", top_k=3)
        commit(found)
    manifest = read_manifest(str(tmp_path))
    assert manifest is not None
    assert (manifest["run_id"], manifest["top_k"]) == ("C", 3)
    collection = manifest["collection"]
    assert (collection["rows"], collection["columns"], collection["vector_type"]) == (6, "schema", "fixed_size_list")
    runs = manifest["collection"]["runs"]
    assert [(run["run_id"], run["counts"]["embedded"], run["changes"]["rows_before"]) for run in runs] == [
        ("A", 3, 0),
        ("B", 2, 3),
        ("C", 1, 5),
    ]
    assert runs[-1].items() >= {name: manifest[name] for name in ("run_id", "times", "counts", "changes")}.items()
    assert [file["rows"] for file in manifest["files"]] == [3, 2, 1]
    assert [name for name in names(tmp_path) if name.endswith(".parquet")] == [f["name"] for f in manifest["files"]]
    assert all(stands(str(tmp_path), run) for run in "ABC")


def test_a_run_that_replaces_begins_anew(tmp_path: pathlib.Path) -> None:
    commit, found = updates(tmp_path, "A", "abc")
    commit(found)
    begin(tmp_path)
    commit_of(tmp_path)(ALL)
    manifest = read_manifest(str(tmp_path))
    assert manifest is not None
    assert [run["run_id"] for run in manifest["collection"]["runs"]] == ["RUN"]
    assert names(tmp_path) == sorted([*WRITTEN, "manifest.json"])


def test_a_manifest_tells_of_the_last_runs_alone(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many nights there are."""
    monkeypatch.setattr("transforms.commit.commit.RUNS_KEPT", 3)
    for run_id in "ABCDE":
        commit, found = updates(tmp_path, run_id, run_id.lower())
        commit(found)
    manifest = read_manifest(str(tmp_path))
    assert manifest is not None
    assert [run["run_id"] for run in manifest["collection"]["runs"]] == ["C", "D", "E"]
    assert manifest["collection"]["rows"] == 5
    assert len([name for name in names(tmp_path) if name.endswith(".parquet")]) == 5


def test_of_two_updates_at_once_one_is_committed_and_the_other_changes_nothing(tmp_path: pathlib.Path) -> None:
    """(1a)"""
    commit, found = updates(tmp_path, "A", "abc")
    commit(found)
    (first, firsts), (second, seconds) = updates(tmp_path, "B", "de"), updates(tmp_path, "C", "fg")
    first(firsts)
    with pytest.raises(RunError, match=f"run B was committed to {tmp_path} meanwhile, and stands"):
        second(seconds)
    assert end(str(tmp_path), "C") is Ended.REMOVED
    manifest = read_manifest(str(tmp_path))
    assert manifest is not None
    assert [run["run_id"] for run in manifest["collection"]["runs"]] == ["A", "B"]
    assert [name for name in names(tmp_path) if name.endswith(".parquet")] == [f["name"] for f in manifest["files"]]


def test_a_run_that_was_ended_with_its_parts_kept_is_not_committed(tmp_path: pathlib.Path) -> None:
    """Its job may go on after the person who started it has ended it. (1e)"""
    begin(tmp_path)
    leave(tmp_path, f"{SCRATCH}RUN/0.parquet")
    commit = commit_of(tmp_path)
    assert end(str(tmp_path), "RUN", keep_parts=True) is Ended.WITH_PARTS
    with pytest.raises(RunError, match=f"run RUN has lost its claim on {tmp_path}: it was ended, or taken for dead"):
        commit(ALL)
    assert read_manifest(str(tmp_path)) is None


def test_what_was_taken_over_goes_and_the_parts_of_others_stay(tmp_path: pathlib.Path) -> None:
    for run_id in ("TAKEN", "KEPT"):
        leave(tmp_path, f"{SCRATCH}{run_id}/owner.json", '{"fingerprint": "abc", "ended": true}')
        leave(tmp_path, f"{SCRATCH}{run_id}/0.parquet")
    commit, found = updates(tmp_path, "A", "abc", resumes=("TAKEN",))
    commit(found)
    assert [name for name in names(tmp_path) if name.startswith(SCRATCH)] == [
        f"{SCRATCH}KEPT",
        f"{SCRATCH}KEPT/0.parquet",
        f"{SCRATCH}KEPT/owner.json",
    ]
    commit, found = updates(tmp_path, "B", "d", keeps_parts=False)
    commit(found)
    assert not (tmp_path / f"{SCRATCH}KEPT").exists()


def test_a_standing_file_that_is_gone_hinders_the_commit(tmp_path: pathlib.Path) -> None:
    commit, found = updates(tmp_path, "A", "abc")
    commit(found)
    commit, found = updates(tmp_path, "B", "de")
    (tmp_path / "parquet" / "embeddings-A-00000-of-00001.parquet").unlink()
    with pytest.raises(RunError, match=r"A-00000-of-00001\.parquet was removed or changed before the commit"):
        commit(found)
    assert read_manifest(str(tmp_path))["run_id"] == "A"


def test_an_update_in_a_bucket_keeps_what_stands(strict_gcs: GcsServer) -> None:
    first, found = begin_in(strict_gcs, "RUN")
    first(found)
    output = f"gs://{strict_gcs.bucket}/out"
    claim(output, "NEXT", local=True)
    seen = replaceable_versions(output)
    standing = [("standing", StandingFile(file.name, file.uris, file.num_bytes)) for file in FILES]
    kept = [("embeddings" if "parquet" in file.name else "failures", file) for file in FILES]
    skipped = [("inputs", UriSum.of(URIS[:6])), ("skipped", UriSum.of(URIS[:6]))]
    manifest = Commit(output, "NEXT", SPEC, STARTED, None, seen, claimed=True, updates=True)(
        [*standing, *kept, *skipped]
    )
    assert manifest["counts"] == {"inputs": 6, "embedded": 0, "failed": 0, "skipped": 6, "duplicates": 0}
    assert [run["run_id"] for run in manifest["collection"]["runs"]] == ["RUN", "NEXT"]
    assert strict_gcs.names() == sorted(["out/manifest.json", *(f"out/{file.name}" for file in FILES)])


def test_an_update_that_is_committed_again_is_one_run(tmp_path: pathlib.Path) -> None:
    """A runner may repeat a step that has succeeded."""
    for run_id in "AB":
        commit, found = updates(tmp_path, run_id, run_id.lower())
        for _ in range(2):
            manifest = commit(found)
    assert [run["run_id"] for run in manifest["collection"]["runs"]] == ["A", "B"]
    assert [run["run_id"] for run in read_manifest(str(tmp_path))["collection"]["runs"]] == ["A", "B"]
