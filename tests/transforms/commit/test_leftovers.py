"""What runs leave that end early: it is swept, or taken over."""

import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Any

import pytest
from apache_beam.io.filesystems import FileSystems

from tests.servers.gcs import GcsServer
from transforms.collection.layout import OWNER, SCRATCH
from transforms.commit import liveness
from transforms.commit.claims import claim
from transforms.commit.leftovers import Ended, end, sweep


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


def here(pid: int, started: str = "") -> dict:
    """Return what the claim of a process on this machine says."""
    owner = liveness.owner(local=True)
    return {**owner, "pid": pid, "process_started": started} if pid != os.getpid() else owner


ELSEWHERE = {"boot": "another machine's", "pid_namespace": "pid:[1]", "pid": 1, "lapses_after": 3600}


def age(files: list[pathlib.Path], seconds: float) -> None:
    for file in files:
        os.utime(file, (time.time() - seconds,) * 2)


def test_leftovers_of_dead_runs_are_swept_and_all_else_stays(tmp_path: pathlib.Path) -> None:
    # A run that is long over, the rows of which another one could not remove; its scratch folder is gone.
    over = leave(tmp_path, "OVER")
    over.pop().unlink()
    (tmp_path / f"{SCRATCH}OVER").rmdir()
    dead = [*leave(tmp_path, "DEAD", here(dead_process())), *over]
    alive = leave(tmp_path, "ALIVE", here(os.getpid()))
    elsewhere = leave(tmp_path, "ELSEWHERE", ELSEWHERE)
    own = leave(tmp_path, "RUN", here(os.getpid()))
    foreign = leave_foreign(tmp_path)
    assert sweep(str(tmp_path), "RUN") == []
    assert [file for file in dead if file.exists()] == []
    assert not (tmp_path / f"{SCRATCH}DEAD").exists()
    assert all(file.exists() for file in [*alive, *elsewhere, *foreign, *own[:3]])
    assert not (tmp_path / f"{SCRATCH}RUN").exists()


@pytest.mark.parametrize(
    ("owner", "limit"),
    [
        (ELSEWHERE, 3600.0),
        ({**here(1), "pid_namespace": "pid:[1]"}, 3600.0),
        ({**here(1), "boot": "before"}, 3600.0),
        (None, 3600.0),
        ({"host": "as an older version wrote it", "pid": 1}, 3600.0),
        (liveness.owner(local=False), 10 * 86_400.0),
    ],
    ids=["elsewhere", "container", "reboot", "no claim", "older", "job"],
)
def test_a_run_that_cannot_be_asked_is_dead_once_it_has_not_written_for_long(
    tmp_path: pathlib.Path, owner: dict | None, limit: float
) -> None:
    """In another container, process 1 is another one, and is always there. (1f)"""
    files = leave(tmp_path, "THEIRS", owner)
    age(files, limit + 100)
    age(files[:1], limit - 100)
    sweep(str(tmp_path), "RUN")
    assert all(file.exists() for file in files)
    age(files, limit + 100)
    sweep(str(tmp_path), "RUN")
    assert [file for file in files if file.exists()] == []


@pytest.mark.parametrize("name", [f"{SCRATCH}KILLED", "parquet", "tfrecord", "failures"])
def test_empty_folders_of_runs_are_swept(name: str, tmp_path: pathlib.Path) -> None:
    """A run leaves one that is killed before its claim, or while it removes files. (1f)"""
    (tmp_path / name).mkdir()
    (tmp_path / "empty").mkdir()
    assert sweep(str(tmp_path), "RUN") == []
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_scratch_folder_that_is_swept_before_the_claim_is_made_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, left = FileSystems.create, [3]

    def sweep_first(path: str, *arguments: Any) -> Any:
        if left[0]:
            left[0] -= 1
            sweep(str(tmp_path), "OTHER")
        return create(path, *arguments)

    # Beam's own filesystem would make the folder.
    monkeypatch.setattr(FileSystems, "create", sweep_first)
    claim(str(tmp_path), "RUN", local=True)
    assert (tmp_path / f"{SCRATCH}RUN" / OWNER).exists()


def test_what_cannot_be_swept_is_said_and_hinders_nothing_else(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(1c)"""
    stuck, dead = leave(tmp_path, "STUCK", here(dead_process())), leave(tmp_path, "DEAD", here(dead_process()))
    remove = os.remove

    def refuse(path: str) -> None:
        if "STUCK-" in path:
            raise PermissionError("not permitted")
        remove(path)

    monkeypatch.setattr("os.remove", refuse)
    assert sweep(str(tmp_path), "RUN") == [f"what run STUCK left in {tmp_path} cannot be removed: not permitted"]
    assert [file for file in dead if file.exists()] == []
    # The next run tries again.
    monkeypatch.undo()
    assert sweep(str(tmp_path), "RUN") == []
    assert [file for file in stuck if file.exists()] == []


def test_a_discarded_run_leaves_nothing_and_others_stay(tmp_path: pathlib.Path) -> None:
    mine, other = leave(tmp_path, "RUN", here(os.getpid())), leave(tmp_path, "OTHER", here(os.getpid()))
    end(str(tmp_path), "RUN")
    assert [file for file in mine if file.exists()] == []
    assert all(file.exists() for file in other)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_discarded_run_leaves_no_empty_folder(tmp_path: pathlib.Path, slash: str) -> None:
    leave(tmp_path / "out", "RUN", here(os.getpid()))
    end(f"{tmp_path}/out{slash}", "RUN")
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
    end(str(tmp_path), "DEAD")
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


def test_runs_in_a_bucket_are_swept_and_discarded_likewise(gcs: GcsServer) -> None:
    output = f"gs://{gcs.bucket}/out"
    gcs.put("out/parquet/embeddings-OLD-00000-of-00001.parquet", b"x")
    for name in ("parquet/embeddings-RUN-00000-of-00001.parquet", ".run-RUN/0123.parquet"):
        gcs.put(f"out/{name}", b"x")
    claim(output, "RUN", local=True)
    gcs.put("out/parquet/notes.parquet", b"x")
    sweep(output, "RUN")
    assert gcs.names() == ["out/parquet/embeddings-RUN-00000-of-00001.parquet", "out/parquet/notes.parquet"]
    end(output, "RUN")
    assert gcs.names() == ["out/parquet/notes.parquet"]


def test_a_folder_with_magic_characters_in_its_name_is_swept_alone(tmp_path: pathlib.Path) -> None:
    folder, neighbour = tmp_path / "out[1]", tmp_path / "out1"
    swept, kept = (leave(path, "OLD", here(dead_process())) for path in (folder, neighbour))
    sweep(str(folder), "RUN")
    assert [file for file in swept if file.exists()] == []
    assert all(file.exists() for file in kept)


def test_a_run_that_is_committed_is_not_discarded(tmp_path: pathlib.Path) -> None:
    files = leave(tmp_path, "RUN", here(os.getpid()))
    (tmp_path / "manifest.json").write_text('{"run_id": "RUN"}')
    assert end(str(tmp_path), "RUN") is Ended.COMMITTED
    assert all(file.exists() for file in files)
    (tmp_path / "manifest.json").write_text('{"run_id": "OTHER"}')
    assert end(str(tmp_path), "RUN") is Ended.REMOVED
    assert [file for file in files if file.exists()] == []
