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
from transforms.commit import leftovers, liveness
from transforms.commit.claims import claim, is_held
from transforms.commit.leftovers import PARTS_LAST, Ended, end, ended_runs, sweep
from transforms.core.errors import UsageError


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


def claimed(run_fingerprint: str, **values: Any) -> dict:
    """Return the claim of a dead process here whose run made embeddings of a spec."""
    return {**here(dead_process()), "fingerprint": run_fingerprint, **values}


def part_of(run: str) -> str:
    return f"{SCRATCH}{run}/0123.parquet"


def found_in(folder: pathlib.Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_run_that_is_ended_with_its_parts_keeps_them_and_says_so(tmp_path: pathlib.Path) -> None:
    leave(tmp_path, "RUN", {**here(os.getpid()), "fingerprint": "abc"})
    (tmp_path / f"{SCRATCH}RUN" / "9.parquet.partial").write_text("half")
    (tmp_path / f"{SCRATCH}RUN" / "plan-parquet.json").write_text("[]")
    # Twice, as where a person is impatient.
    for _ in range(2):
        assert end(str(tmp_path), "RUN", keep_parts=True) is Ended.WITH_PARTS
        assert found_in(tmp_path) == [part_of("RUN"), f"{SCRATCH}RUN/{OWNER}"]
        assert json.loads((tmp_path / f"{SCRATCH}RUN" / OWNER).read_text()) == {"fingerprint": "abc", "ended": True}
        assert not is_held(str(tmp_path), "RUN")
    assert ended_runs(str(tmp_path), "abc") == {"RUN": [part_of("RUN")]}
    assert end(str(tmp_path), "RUN") is Ended.REMOVED
    assert found_in(tmp_path) == []


def test_a_run_without_finished_parts_leaves_nothing_to_keep(tmp_path: pathlib.Path) -> None:
    for file in leave(tmp_path, "RUN", here(os.getpid())):
        if file.name == "0123.parquet":
            file.unlink()
    assert end(str(tmp_path), "RUN", keep_parts=True) is Ended.REMOVED
    assert found_in(tmp_path) == []


def test_parts_of_nobody_are_not_kept(tmp_path: pathlib.Path) -> None:
    """Without a claim nobody knows what they are."""
    leave(tmp_path, "RUN")
    assert end(str(tmp_path), "RUN", keep_parts=True) is Ended.REMOVED
    assert found_in(tmp_path) == []


def test_a_run_of_a_collection_that_went_on_is_committed(tmp_path: pathlib.Path) -> None:
    files = leave(tmp_path, "RUN", here(os.getpid()))
    manifest = {"run_id": "LATER", "files": [], "collection": {"runs": [{"run_id": "RUN"}, {"run_id": "LATER"}]}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert end(str(tmp_path), "RUN", keep_parts=True) is Ended.COMMITTED
    assert all(file.exists() for file in files)


def test_parts_of_dead_runs_of_the_same_spec_are_found_newest_first(tmp_path: pathlib.Path) -> None:
    leave(tmp_path, "2-DEAD", claimed("abc"))
    leave(tmp_path, "1-ENDED", {"fingerprint": "abc", "ended": True})
    leave(tmp_path, "3-OTHER", claimed("xyz"))
    leave(tmp_path, "4-ALIVE", {**here(os.getpid()), "fingerprint": "abc"})
    leave(tmp_path, "5-ELSEWHERE", {**ELSEWHERE, "fingerprint": "abc"})
    leave(tmp_path, "6-NOBODY")
    for file in leave(tmp_path, "7-EARLY", claimed("abc")):
        if file.name == "0123.parquet":
            file.unlink()
    (tmp_path / f"{SCRATCH}2-DEAD" / "456.jsonl").write_text("{}")
    found = ended_runs(str(tmp_path), "abc")
    assert {run: sorted(parts) for run, parts in found.items()} == {
        "2-DEAD": [part_of("2-DEAD"), f"{SCRATCH}2-DEAD/456.jsonl"],
        "1-ENDED": [part_of("1-ENDED")],
    }
    assert list(found) == ["2-DEAD", "1-ENDED"]


def test_a_run_elsewhere_is_taken_over_if_that_is_asked_for_and_it_has_been_idle(tmp_path: pathlib.Path) -> None:
    files = leave(tmp_path, "JOB", {**liveness.owner(local=False), "fingerprint": "abc"})
    assert ended_runs(str(tmp_path), "abc") == {}
    with pytest.raises(
        UsageError, match="--resume JOB: that run wrote or renewed its claim lately; end it, or wait an hour"
    ):
        ended_runs(str(tmp_path), "abc", "JOB")
    age(files, 3700)
    assert ended_runs(str(tmp_path), "abc") == {}
    assert ended_runs(str(tmp_path), "abc", "JOB") == {"JOB": [part_of("JOB")]}
    with pytest.raises(UsageError, match="--resume JOB: that run made other embeddings; give the flags that it had"):
        ended_runs(str(tmp_path), "xyz", "JOB")


@pytest.mark.parametrize("run", ["NONE", "EARLY"])
def test_a_run_that_left_nothing_cannot_be_resumed(run: str, tmp_path: pathlib.Path) -> None:
    for file in leave(tmp_path, "EARLY", claimed("abc")):
        if file.name == "0123.parquet":
            file.unlink()
    with pytest.raises(UsageError, match=f"--resume {run}: there are no finished parts of such a run in {tmp_path}"):
        ended_runs(str(tmp_path), "abc", run)


def test_a_run_here_that_is_alive_cannot_be_resumed_however_idle_it_is(tmp_path: pathlib.Path) -> None:
    age(leave(tmp_path, "RUN", {**here(os.getpid()), "fingerprint": "abc"}), 1e6)
    with pytest.raises(UsageError, match="end it, or wait an hour"):
        ended_runs(str(tmp_path), "abc", "RUN")


def test_parts_that_nobody_took_over_stay_for_a_week(tmp_path: pathlib.Path) -> None:
    ended = {"fingerprint": "abc", "ended": True}
    kept = leave(tmp_path, "KEPT", ended)
    gone = [*leave(tmp_path, "TAKEN", claimed("abc")), *leave(tmp_path, "OLD", ended), *kept[:3]]
    age(kept, PARTS_LAST - 100)
    age(leave(tmp_path, "OLD", ended), PARTS_LAST + 100)
    assert sweep(str(tmp_path), "RUN", ["TAKEN"], keep_parts=True) == []
    assert [file for file in gone if file.exists()] == []
    assert [file.exists() for file in kept[3:]] == [True, True]
    assert list(ended_runs(str(tmp_path), "abc")) == ["KEPT"]
    assert sweep(str(tmp_path), "RUN") == []
    assert found_in(tmp_path) == []


def test_no_file_is_swept_that_the_manifest_names_whichever_run_wrote_it(tmp_path: pathlib.Path) -> None:
    files = leave(tmp_path, "OLDEST", claimed("abc"))
    named = [file.relative_to(tmp_path).as_posix() for file in files[:2]]
    content = {"run_id": "RUN", "files": [{"name": name} for name in named]}
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    assert sweep(str(tmp_path), "RUN", ["OLDEST"], keep_parts=True) == []
    assert found_in(tmp_path) == ["manifest.json", *named]


def test_the_files_of_a_run_that_is_committed_meanwhile_are_not_swept(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next update may end while this run still tidies up. (1a)"""
    (tmp_path / "manifest.json").write_text('{"run_id": "RUN", "files": []}')
    files = leave(tmp_path, "NEXT", here(dead_process()))
    listed = leftovers.files_below

    def commit_first(folder: str) -> list[Any]:
        content = {"run_id": "NEXT", "files": [{"name": f.relative_to(tmp_path).as_posix()} for f in files[:3]]}
        (tmp_path / "manifest.json").write_text(json.dumps(content))
        for file in files[3:]:
            file.unlink(missing_ok=True)
        return listed(folder)

    monkeypatch.setattr(leftovers, "files_below", commit_first)
    sweep(str(tmp_path), "RUN")
    assert all(file.exists() for file in files[:3])


def test_parts_in_a_bucket_are_kept_found_and_swept_likewise(gcs: GcsServer) -> None:
    output = f"gs://{gcs.bucket}/out"
    claim(output, "RUN", local=True, fingerprint="abc")
    for name in (part_of("RUN"), f"{SCRATCH}RUN/x.partial", "parquet/embeddings-RUN-00000-of-00001.parquet"):
        gcs.put(f"out/{name}", b"x")
    assert end(output, "RUN", keep_parts=True) is Ended.WITH_PARTS
    assert gcs.names() == [f"out/{part_of('RUN')}", f"out/{SCRATCH}RUN/{OWNER}"]
    assert ended_runs(output, "abc") == {"RUN": [part_of("RUN")]}
    sweep(output, "NEXT", ["RUN"], keep_parts=True)
    assert gcs.names() == []
