"""Hashes and sizes are those of the bytes, and of all files of a folder."""

import hashlib
import os
import pathlib
import subprocess

import pytest

from transforms.storage.hashing import sha256_of_files, size_of_files


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


def test_a_folder_has_the_hash_of_its_files_hashes_in_the_order_of_their_paths(folder: pathlib.Path) -> None:
    names = [".hidden", "a/deep/er", "a/z", "b"]
    expected = hashlib.sha256(b"".join(hashlib.sha256((folder / name).read_bytes()).digest() for name in names))
    assert sha256_of_files(str(folder)) == expected.hexdigest()


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
