"""Claims on an output folder, and the sweeping of what dead runs left."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest
from apache_beam.io.filesystems import FileSystems

from tests.servers.gcs import GcsServer
from transforms.collection.layout import OWNER, SCRATCH
from transforms.commit.claims import abandon, claim, committing, discard, sweep


def leave(folder: pathlib.Path, run: str, owner: dict | None = None) -> list[pathlib.Path]:
    """Leave the files of a run that has not ended: shards, a failures file, a part in its scratch folder."""
    scratch = folder / f"{SCRATCH}{run}"
    files = [
        folder / "parquet" / f"embeddings-{run}-00000-of-00002.parquet",
        folder / "tfrecord" / f"embeddings-{run}-00000-of-00002.tfrecord.gz",
        folder / "failures" / f"failures-{run}-00000-of-00001.jsonl",
        scratch / "0123.parquet",
    ]
    if owner is not None:
        files.append(scratch / OWNER)
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(owner) if file.name == OWNER else "x")
    return files


def leave_foreign(folder: pathlib.Path) -> list[pathlib.Path]:
    """Leave files that no run wrote, some with names of an older layout."""
    names = [
        "manifest.json",
        "notes.parquet",
        "embeddings-mine.parquet",
        "embeddings-DEAD-00000-of-00002.parquet",
        "failures-DEAD-00000-of-00001.jsonl",
        "parquet/notes.parquet",
        "parquet/embeddings-mine.parquet",
        "parquet/embeddings-DEAD-00000-of-00002.parquet.bak",
        "parquet/copy/embeddings-DEAD-00000-of-00002.parquet",
        "tfrecord/features.json",
        "failures/.hidden",
    ]
    files = [folder / name for name in names]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("not a run's")
    return files


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def here(pid: int) -> dict:
    return {"host": socket.gethostname(), "pid": pid}


def test_a_claim_says_who_runs(tmp_path: pathlib.Path) -> None:
    claim(str(tmp_path / "new" / "out"), "RUN", local=True)
    owner = json.loads((tmp_path / "new" / "out" / f"{SCRATCH}RUN" / OWNER).read_text())
    assert (owner["host"], owner["pid"]) == (socket.gethostname(), os.getpid())


def test_a_claim_on_a_folder_that_cannot_be_made_fails(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        claim(str(tmp_path / "file" / "out"), "RUN", local=True)


def test_leftovers_of_dead_runs_are_swept_and_all_else_stays(tmp_path: pathlib.Path) -> None:
    dead = [*leave(tmp_path, "DEAD", here(dead_process())), *leave(tmp_path, "OLD")]
    alive = leave(tmp_path, "ALIVE", here(os.getpid()))
    elsewhere = leave(tmp_path, "ELSEWHERE", {"host": "another.machine", "pid": 1})
    own = leave(tmp_path, "RUN", here(os.getpid()))
    foreign = leave_foreign(tmp_path)
    sweep(str(tmp_path), "RUN")
    assert [file for file in dead if file.exists()] == []
    assert not (tmp_path / f"{SCRATCH}DEAD").exists()
    assert all(file.exists() for file in [*alive, *elsewhere, *foreign, *own[:3]])
    assert not (tmp_path / f"{SCRATCH}RUN").exists()


def test_another_machines_run_counts_as_dead_a_day_after_its_last_change(tmp_path: pathlib.Path) -> None:
    files = leave(tmp_path, "ELSEWHERE", {"host": "another.machine", "pid": 1})
    for file in files:
        os.utime(file, (0, 0))
    sweep(str(tmp_path), "RUN")
    assert [file for file in files if file.exists()] == []


def test_a_discarded_run_leaves_nothing_and_others_stay(tmp_path: pathlib.Path) -> None:
    mine, other = leave(tmp_path, "RUN", here(os.getpid())), leave(tmp_path, "OTHER", here(os.getpid()))
    discard(str(tmp_path), "RUN")
    assert [file for file in mine if file.exists()] == []
    assert all(file.exists() for file in other)


@pytest.mark.parametrize("end", ["", "/"])
def test_a_discarded_run_leaves_no_empty_folder(tmp_path: pathlib.Path, end: str) -> None:
    leave(tmp_path / "out", "RUN", here(os.getpid()))
    discard(f"{tmp_path}/out{end}", "RUN")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_sweep_removes_the_folders_that_it_emptied_and_no_other(tmp_path: pathlib.Path) -> None:
    leave(tmp_path, "DEAD", here(dead_process()))
    for name in ("empty", "parquet/empty"):
        (tmp_path / name).mkdir()
    kept = tmp_path / "failures" / "failures-RUN-00000-of-00001.jsonl"
    kept.write_text("mine")
    sweep(str(tmp_path), "RUN")
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert found == ["empty", "failures", kept.relative_to(tmp_path).as_posix(), "parquet", "parquet/empty"]


def test_a_discarded_run_takes_no_foreign_file_with_it(tmp_path: pathlib.Path) -> None:
    foreign, mine = leave_foreign(tmp_path), leave(tmp_path, "DEAD", here(os.getpid()))
    discard(str(tmp_path), "DEAD")
    assert [file for file in mine if file.exists()] == []
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(foreign)


def test_a_run_that_has_just_ended_is_left_alone(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = leave(tmp_path, "ENDED", here(dead_process()))
    opened = FileSystems.open

    def gone(path: str, *arguments: object, **options: object) -> object:
        os.remove(path)
        return opened(path, *arguments, **options)

    monkeypatch.setattr(FileSystems, "open", gone)
    sweep(str(tmp_path), "RUN")
    assert [file.name for file in files if not file.exists()] == [OWNER]


def test_without_proc_a_process_is_asked_for_by_a_signal(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    isdir = os.path.isdir
    monkeypatch.setattr("os.path.isdir", lambda path: path != "/proc" and isdir(path))
    dead, alive = leave(tmp_path, "DEAD", here(dead_process())), leave(tmp_path, "ALIVE", here(os.getpid()))
    sweep(str(tmp_path), "RUN")
    assert [file for file in dead if file.exists()] == []
    assert all(file.exists() for file in alive)


def test_a_process_that_may_not_be_asked_is_alive(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isdir = os.path.isdir
    monkeypatch.setattr("os.path.isdir", lambda path: path != "/proc" and isdir(path))

    def kill(pid: int, signal: int) -> None:
        raise PermissionError(f"process {pid} is another person's")

    monkeypatch.setattr("os.kill", kill)
    files = leave(tmp_path, "THEIRS", here(dead_process()))
    sweep(str(tmp_path), "RUN")
    assert all(file.exists() for file in files)


def test_runs_in_a_bucket_are_swept_and_discarded_likewise(gcs: GcsServer) -> None:
    output = f"gs://{gcs.bucket}/out"
    for run in ("OLD", "RUN"):
        for name in (f"parquet/embeddings-{run}-00000-of-00001.parquet", f".run-{run}/0123.parquet"):
            gcs.put(f"out/{name}", b"x")
    claim(output, "RUN", local=True)
    gcs.put("out/parquet/notes.parquet", b"x")
    sweep(output, "RUN")
    assert gcs.names() == ["out/parquet/embeddings-RUN-00000-of-00001.parquet", "out/parquet/notes.parquet"]
    discard(output, "RUN")
    assert gcs.names() == ["out/parquet/notes.parquet"]


def test_a_claim_of_a_run_elsewhere_names_no_machine(tmp_path: pathlib.Path) -> None:
    claim(str(tmp_path), "RUN", local=False)
    assert json.loads((tmp_path / f"{SCRATCH}RUN" / OWNER).read_text())["host"] == ""
    sweep(str(tmp_path), "OTHER")
    assert (tmp_path / f"{SCRATCH}RUN" / OWNER).exists()


def test_a_folder_with_magic_characters_in_its_name_is_swept_alone(tmp_path: pathlib.Path) -> None:
    folder, neighbour = tmp_path / "out[1]", tmp_path / "out1"
    swept, kept = leave(folder, "OLD"), leave(neighbour, "OLD")
    sweep(str(folder), "RUN")
    assert [file for file in swept if file.exists()] == []
    assert all(file.exists() for file in kept)


def test_an_abandoned_run_is_not_committed() -> None:
    with committing("KEPT"):
        pass
    abandon("LOST")
    with pytest.raises(RuntimeError, match="LOST was abandoned"), committing("LOST"):
        raise AssertionError("it was let in")
