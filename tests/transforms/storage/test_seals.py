"""A seal holds as long as nothing in its folder changes, and tells anything that does."""

import os
import pathlib
import subprocess

import pytest

from transforms.storage.seals import SEAL, is_intact, is_sealed, seal


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A sealed folder."""
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "a").write_bytes(b"1")
    (tmp_path / "folder" / "deep" / "b").write_bytes(b"2")
    seal(str(tmp_path / "folder"))
    return tmp_path / "folder"


def test_a_seal_is_what_sha256sum_checks(folder: pathlib.Path) -> None:
    assert is_sealed(str(folder))
    assert is_intact(str(folder))
    checked = subprocess.run(["sha256sum", "-c", SEAL], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert checked == "a: OK\ndeep/b: OK\n"
    assert is_intact(str(folder.rename(folder.with_name("elsewhere"))))


@pytest.mark.parametrize("change", ["bytes", "name", "more", "less", "seal", "line", "pipe"])
def test_a_seal_is_broken_with_any_change(change: str, folder: pathlib.Path) -> None:
    if change == "bytes":
        (folder / "deep" / "b").write_bytes(b"3")
    elif change == "name":
        (folder / "a").rename(folder / "c")
    elif change == "more":
        (folder / "deep" / "c").write_bytes(b"")
    elif change == "less":
        (folder / "a").unlink()
    elif change == "seal":
        (folder / SEAL).write_bytes(b"")
    elif change == "line":
        (folder / SEAL).write_bytes((folder / SEAL).read_bytes().splitlines(keepends=True)[0])
    else:
        os.mkfifo(folder / "pipe")
    assert is_sealed(str(folder))
    assert not is_intact(str(folder))


def test_a_folder_without_a_seal_is_not_intact(tmp_path: pathlib.Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        assert not is_sealed(str(path))
        assert not is_intact(str(path))
