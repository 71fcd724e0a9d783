"""Claims on an output folder, and the sweeping of what dead runs left."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

from transforms.commit.claims import OWNER, abandon, claim, committing, discard, new_run_id, put, sweep
from transforms.write.shards import SCRATCH


def leave(folder: pathlib.Path, run: str, owner: dict | None = None) -> list[pathlib.Path]:
    """Leave the files of a run that has not ended: a shard, a failures file, a part in its scratch folder."""
    scratch = folder / f"{SCRATCH}{run}"
    scratch.mkdir(parents=True)
    files = [
        folder / f"embeddings-{run}-00000-of-00002.parquet",
        folder / f"failures-{run}-00000-of-00001.jsonl",
        scratch / "0123.parquet",
    ]
    if owner is not None:
        files.append(scratch / OWNER)
    for file in files:
        file.write_text(json.dumps(owner) if file.name == OWNER else "x")
    return files


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def here(pid: int) -> dict:
    return {"host": socket.gethostname(), "pid": pid}


def test_ids_are_different_and_sort_by_time() -> None:
    ids = [new_run_id() for _ in range(50)]
    assert len(set(ids)) == 50
    assert [i.partition("-")[0] for i in ids] == sorted(i.partition("-")[0] for i in ids)


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
    foreign = [tmp_path / "notes.parquet", tmp_path / "manifest.json", tmp_path / "embeddings-mine.parquet"]
    for file in foreign:
        file.write_text("not a run's")
    sweep(str(tmp_path), "RUN")
    assert [file for file in dead if file.exists()] == []
    assert not (tmp_path / f"{SCRATCH}DEAD").exists()
    assert all(file.exists() for file in [*alive, *elsewhere, *foreign, *own[:2]])
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


def test_a_folder_with_magic_characters_in_its_name_is_swept_alone(tmp_path: pathlib.Path) -> None:
    folder, neighbour = tmp_path / "out[1]", tmp_path / "out1"
    swept, kept = leave(folder, "OLD"), leave(neighbour, "OLD")
    sweep(str(folder), "RUN")
    assert [file for file in swept if file.exists()] == []
    assert all(file.exists() for file in kept)


def test_a_file_is_put_whole_over_the_one_before(tmp_path: pathlib.Path) -> None:
    (tmp_path / "scratch").mkdir()
    for text in ("first, the longer one", "second"):
        put(text, str(tmp_path), "x.json", str(tmp_path / "scratch"))
        assert (tmp_path / "x.json").read_text() == text
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_reader_of_the_old_file_never_sees_the_new_one_grow(tmp_path: pathlib.Path) -> None:
    (tmp_path / "scratch").mkdir()
    put("first", str(tmp_path), "x.json", str(tmp_path / "scratch"))
    with open(tmp_path / "x.json") as reader:
        put("second", str(tmp_path), "x.json", str(tmp_path / "scratch"))
        assert reader.read() == "first"


def test_an_abandoned_run_is_not_committed() -> None:
    with committing("KEPT"):
        pass
    abandon("LOST")
    with pytest.raises(RuntimeError, match="LOST was abandoned"), committing("LOST"):
        raise AssertionError("it was let in")
