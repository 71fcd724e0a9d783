"""Hashes and sizes are those of the bytes, and of all files of a folder."""

import hashlib
import os
import pathlib
import subprocess

import pytest

from transforms.storage.hashing import (
    NotAFileError,
    check_regular,
    listing_of,
    opened_regular,
    sha256_of_files,
    size_of_files,
)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    for name, content in {"b": b"2", "a/z": b"333", ".hidden": b"4444", "a/deep/er": b""}.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    return tmp_path / "folder"


@pytest.mark.parametrize("content", [b"", b"abc", bytes(range(256)) * 9000], ids=len)
def test_a_file_has_the_hash_that_sha256sum_prints(tmp_path: pathlib.Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    printed = subprocess.run(["sha256sum", str(tmp_path / "a")], capture_output=True, text=True, check=True).stdout
    assert sha256_of_files(str(tmp_path / "a")) == printed.split()[0]


def test_a_folder_has_the_hash_of_what_sha256sum_prints_of_its_files(folder: pathlib.Path) -> None:
    (folder / "é ü").write_bytes(b"5")
    command = "find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum"
    printed = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, check=True).stdout
    assert len(printed.splitlines()) == 5
    assert listing_of(str(folder)) == printed
    assert sha256_of_files(str(folder)) == hashlib.sha256(printed).hexdigest()


def test_a_folders_hash_changes_with_a_name(folder: pathlib.Path) -> None:
    """(3f) A file that was moved is another program, though the bytes are the same."""
    before = sha256_of_files(str(folder))
    (folder / "b").rename(folder / "c")
    assert sha256_of_files(str(folder)) != before


def test_no_name_passes_for_two_files(tmp_path: pathlib.Path) -> None:
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "a").write_bytes(b"1")
    (tmp_path / "two" / "b").write_bytes(b"2")
    _, line = listing_of(str(tmp_path / "two")).decode().splitlines()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / f"a\n{line}").write_bytes(b"1")
    assert listing_of(str(tmp_path / "one")) != listing_of(str(tmp_path / "two"))


@pytest.mark.parametrize("special", ["pipe", "device", "/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"])
def test_what_may_never_end_is_not_read(special: str, folder: pathlib.Path) -> None:
    """(4c) A pipe or a file of the kernel's as weights ends in a message, not in a command that hangs."""
    if special.startswith("/") and not os.path.exists(special):
        pytest.skip(f"no {special}")
    if special == "pipe":
        os.mkfifo(folder / "x")
    else:
        (folder / "x").symlink_to("/dev/zero" if special == "device" else special)
    for path in (folder, folder / "x"):
        for reader in (check_regular, sha256_of_files):
            with pytest.raises(
                NotAFileError, match=r"^(no regular file|made up by the system while it is read): .*/x$"
            ):
                reader(str(path))


def test_a_folder_cannot_be_opened_as_a_file_and_an_empty_file_can(folder: pathlib.Path) -> None:
    with pytest.raises(NotAFileError, match=f"^a folder: {folder}$"), opened_regular(str(folder)):
        pass
    with opened_regular(str(folder / "a" / "deep" / "er")) as f:
        assert f.read() == b""
    assert f.closed


def test_a_folders_hash_is_the_same_elsewhere_and_changes_with_any_file(folder: pathlib.Path) -> None:
    before = sha256_of_files(str(folder))
    os.utime(folder / "b", (0, 0))
    moved = folder.rename(folder.with_name("moved"))
    assert sha256_of_files(str(moved)) == before
    (moved / "a" / "deep" / "er").write_bytes(b"x")
    assert sha256_of_files(str(moved)) != before


def test_the_size_of_a_folder_is_that_of_all_files_below_it(folder: pathlib.Path) -> None:
    assert size_of_files(str(folder)) == 1 + 3 + 4
    assert size_of_files(str(folder / "a" / "deep")) == 0


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError):
        sha256_of_files(str(tmp_path / "none"))
