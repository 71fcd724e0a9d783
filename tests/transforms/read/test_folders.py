"""Folders: links are followed once, loops are cut, and nothing that is there is left out in silence."""

import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from transforms.read.folders import any_matching, matching


def made(folder: pathlib.Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [str(folder / name) for name in names]


def found(pattern: object) -> list[tuple[str, str]]:
    """Return paths with the reasons why they are of no use."""
    return [(path, error.reason if error else "") for path, error in matching(str(pattern))]


def paths(pattern: object) -> list[str]:
    return [path for path, reason in found(pattern) if not reason]


def test_files_come_in_the_order_of_their_paths(tmp_path: pathlib.Path) -> None:
    names = ["a/z.jpg", "a.jpg", "a-b/c.jpg", "a/b/c.jpg", "b"]
    expected = sorted(made(tmp_path, *names))
    assert paths(tmp_path / "**") == expected


def test_a_link_to_a_folder_is_followed_after_all_others(tmp_path: pathlib.Path) -> None:
    """(2b) Its files were left out; and no uri of a file changes when a link to its folder is made."""
    inside = made(tmp_path / "in", "z/1.jpg")
    made(tmp_path / "out", "2.jpg")
    (tmp_path / "in" / "a").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "b").symlink_to(tmp_path / "in" / "z")
    assert found(tmp_path / "in" / "**") == [(inside[0], ""), (str(tmp_path / "in" / "a" / "2.jpg"), "")]


def test_links_of_links_are_followed_and_loops_are_cut(tmp_path: pathlib.Path) -> None:
    """(2b)"""
    (one,) = made(tmp_path, "in/1.jpg")
    made(tmp_path, "out/2.jpg", "far/3.jpg")
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    (tmp_path / "in" / "self").symlink_to(tmp_path / "in")
    (tmp_path / "out" / "on").symlink_to(tmp_path / "far")
    assert found(tmp_path / "in" / "**") == [
        (one, ""),
        *((str(tmp_path / "in" / "up" / name), "") for name in ("far/3.jpg", "out/2.jpg")),
    ]


def test_a_link_that_leads_nowhere_is_told(tmp_path: pathlib.Path) -> None:
    """(2b) 186 of 187 files were missing, and the run said 1 of 1."""
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "good.jpg").symlink_to(*made(tmp_path, "x/a.jpg"))
    assert found(tmp_path / "**") == [
        (str(tmp_path / "gone.jpg"), "not_found"),
        (str(tmp_path / "good.jpg"), ""),
        (str(tmp_path / "loop.jpg"), "not_found"),
        (str(tmp_path / "x" / "a.jpg"), ""),
    ]
    assert found(tmp_path / "*.png") == []


def scandir_but(folder: str, error: OSError) -> Callable[[str], Any]:
    """Return os.scandir for a person who may not read one folder, since root may read all."""
    scandir = os.scandir

    def fails(path: str) -> Any:
        if path == folder:
            raise error
        return scandir(path)

    return fails


@pytest.mark.parametrize(
    ("error", "reason", "transient"),
    [
        (PermissionError(13, "Permission denied"), "permission_denied", False),
        (OSError(5, "Input/output error"), "io_error", True),
    ],
)
def test_a_folder_that_cannot_be_read_is_told(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str, transient: bool
) -> None:
    """(2b)"""
    one, _ = made(tmp_path, "a.jpg", "closed/b.jpg")
    closed = str(tmp_path / "closed")
    monkeypatch.setattr("os.scandir", scandir_but(closed, error))
    assert found(tmp_path / "**") == [(one, ""), (closed, reason)]
    assert found(tmp_path / "*.jpg") == [(one, "")]
    (told,) = [e for _, e in matching(str(tmp_path / "**")) if e]
    assert (told.transient, told.error) == (transient, type(error).__name__)


def test_hidden_names_are_left_out_below_the_fixed_part(tmp_path: pathlib.Path) -> None:
    (shown,) = made(tmp_path / ".root", "a.jpg")
    made(tmp_path / ".root", ".a.jpg", ".git/a.jpg")
    (tmp_path / ".root" / ".gone").symlink_to("nothing")
    assert found(tmp_path / ".root" / "**") == [(shown, "")]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.jpg", ["a.jpg", "b.jpg"]),
        ("[ab].jpg", ["a.jpg", "b.jpg"]),
        ("[!a].jpg", ["b.jpg"]),
        ("?/*.jpg", ["x/c.jpg", "y/c.jpg"]),
        ("**/c.jpg", ["x/c.jpg", "x/z/c.jpg", "y/c.jpg"]),
        ("x/**", ["x/c.jpg", "x/z/c.jpg"]),
        ("a.jpg", ["a.jpg"]),
        ("nowhere/*.jpg", []),
    ],
)
def test_a_glob_gives_what_it_matches(tmp_path: pathlib.Path, pattern: str, names: list[str]) -> None:
    made(tmp_path, "a.jpg", "b.jpg", "x/c.jpg", "x/z/c.jpg", "y/c.jpg")
    assert paths(tmp_path / pattern) == [str(tmp_path / name) for name in names]


def test_a_glob_looks_no_deeper_than_it_must(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An output folder beside a deep tree is not worth a walk through the tree."""
    made(tmp_path, "a.jpg", "deep/er/b.jpg")
    looked: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr("os.scandir", lambda path: looked.append(path) or scandir(path))
    assert paths(tmp_path / "*.jpg") == [str(tmp_path / "a.jpg")]
    assert looked == [str(tmp_path)]


def test_one_file_is_found_without_a_look_at_all(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At launch, of a folder that may hold millions."""
    inside = made(tmp_path, *(f"{i}.jpg" for i in range(100)), "deep/er/b.png")
    given: list[str] = []
    scandir = os.scandir

    class Slowly:
        """Notes what it gives."""

        def __init__(self, path: str):
            self.entries = scandir(path)

        def __enter__(self) -> Iterator[Any]:
            return (given.append(entry.path) or entry for entry in self.entries)

        def __exit__(self, *_: object) -> None:
            self.entries.close()

    monkeypatch.setattr("os.scandir", Slowly)
    path, error = any_matching(f"{tmp_path}/**")
    assert (path in inside, error) == (True, None)
    assert len(given) <= 2
    assert any_matching(f"{tmp_path}/**/*.png") == (inside[-1], None)
    assert any_matching(f"{tmp_path}/*.gif") == ("", None)


def test_any_name_is_found(tmp_path: pathlib.Path) -> None:
    odd = [os.fsdecode(b"\xfc.jpg"), "a\nb.jpg", "[x]*?.jpg", "tail "]
    expected = set(made(tmp_path, *odd))
    assert set(paths(f"{tmp_path}/**")) == expected
    made(tmp_path / "in [1]*", "a.jpg")
    assert paths(f"{tmp_path}/in [[]1][*]/*.jpg") == [f"{tmp_path}/in [1]*/a.jpg"]
