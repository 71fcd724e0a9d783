"""What is renamed is on the disk, whoever removes empty folders meanwhile."""

import errno
import os
import pathlib

import pytest

from transforms.storage.durable import MOVES, make_folders, move, sync


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are synced, in their order."""
    paths: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", note)
    return paths


def test_a_file_is_synced_before_it_is_renamed_and_its_new_folder_after(
    tmp_path: pathlib.Path, synced: list[str]
) -> None:
    """(1b)"""
    (tmp_path / "a").write_text("content")
    move(str(tmp_path / "a"), str(tmp_path / "new" / "b"))
    assert (tmp_path / "new" / "b").read_text() == "content"
    assert synced == [str(tmp_path / "a"), str(tmp_path), str(tmp_path / "new")]


def test_each_folder_that_is_made_is_synced_into_its_parent(tmp_path: pathlib.Path, synced: list[str]) -> None:
    """(1b)"""
    make_folders(str(tmp_path / "a" / "b"))
    make_folders(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()
    assert synced == [str(tmp_path), str(tmp_path / "a")]


def test_a_path_may_be_relative(tmp_path: pathlib.Path, synced: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_folders("a/b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "c").write_text("content")
    move("c", "d")
    assert (tmp_path / "d").read_text() == "content"
    assert synced == [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "c"), str(tmp_path)]


def test_a_file_in_the_way_of_a_folder_is_an_error(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        make_folders(str(tmp_path / "file" / "out"))


def test_what_is_synced_must_exist(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync(str(tmp_path / "none"))


def test_only_a_folder_may_be_of_a_filesystem_that_cannot_sync_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")

    def refuse(_: int) -> None:
        raise OSError(errno.EINVAL, "not supported")

    monkeypatch.setattr("os.fsync", refuse)
    sync(str(tmp_path))
    with pytest.raises(OSError, match="not supported"):
        sync(str(tmp_path / "file"))


def test_a_disk_that_fails_is_an_error_for_a_folder_too(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="the disk is broken"):
        sync(str(tmp_path))


def removing(folder: pathlib.Path, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let another run remove an empty folder just before each of the next renames."""
    replace, left = os.replace, [times]

    def replace_after_removal(source: str, destination: str) -> None:
        if left[0]:
            left[0] -= 1
            folder.rmdir()
        replace(source, destination)

    monkeypatch.setattr("os.replace", replace_after_removal)


@pytest.mark.parametrize("times", range(1, MOVES))
def test_a_folder_that_another_run_removes_in_between_is_made_again(
    tmp_path: pathlib.Path, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("content")
    removing(tmp_path / "parquet", times, monkeypatch)
    move(str(tmp_path / "a"), str(tmp_path / "parquet" / "b"))
    assert (tmp_path / "parquet" / "b").read_text() == "content"


def test_a_folder_that_is_removed_again_and_again_is_an_error_and_the_file_stays(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("content")
    removing(tmp_path / "parquet", MOVES, monkeypatch)
    with pytest.raises(FileNotFoundError, match="parquet/b"):
        move(str(tmp_path / "a"), str(tmp_path / "parquet" / "b"))
    assert (tmp_path / "a").read_text() == "content"
