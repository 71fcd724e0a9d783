"""The cache: entries appear complete or not at all, the least recently used go, and it may be deleted at any time."""

import errno
import os
import pathlib
import shutil
import stat
import time

import pytest

from transforms.storage import cache


@pytest.fixture
def root(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A cache folder that is not there yet."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "new" / "cache"))
    return tmp_path / "new" / "cache"


def writes(text: str, num_bytes: int = 0):
    def write(folder: str) -> None:
        pathlib.Path(folder, "text").write_text(text + " " * num_bytes)

    return write


def test_the_variable_names_the_folder_and_empty_switches_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.VARIABLE == "EMBED_IMAGES_CACHE"
    monkeypatch.setenv("EMBED_IMAGES_CACHE", "/somewhere")
    assert cache.root() == "/somewhere"
    monkeypatch.setenv("EMBED_IMAGES_CACHE", "")
    assert cache.root() == ""
    assert not cache.is_writable()


def test_by_default_it_is_where_caches_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMBED_IMAGES_CACHE")
    monkeypatch.setenv("HOME", "/home/somebody")
    for given, expected in (("/caches", "/caches"), ("", "/home/somebody/.cache")):
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert cache.root() == f"{expected}/embed-images"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.root() == "/home/somebody/.cache/embed-images"


def test_it_is_made_for_its_owner_alone(root: pathlib.Path) -> None:
    assert cache.is_writable()
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert cache.is_writable()


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702])
def test_a_folder_that_others_may_write_to_is_not_used(
    mode: int, root: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    """(3g) Whoever can write there decides what the vectors are."""
    cache.make_root()
    root.chmod(mode)
    for _ in range(2):
        assert cache.root() == ""
        assert not cache.is_writable()
    assert [record.message for record in caplog.records] == [
        f"others may write to the cache {root}, so it is not used; run: chmod go-w {root}"
    ]
    root.chmod(0o755)
    assert cache.root() == str(root)


def test_a_folder_of_another_user_is_not_used(
    root: pathlib.Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(3g) Not even one that this user may write to."""
    cache.make_root()
    monkeypatch.setattr("os.getuid", lambda: root.stat().st_uid + 1)
    assert cache.root() == ""
    (record,) = caplog.records
    assert f"the cache {root} belongs to another user, and is not used; set EMBED_IMAGES_CACHE" in record.message


def test_a_platform_without_users_has_no_shared_folder(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.make_root()
    root.chmod(0o777)
    monkeypatch.delattr("os.getuid")
    assert cache.root() == str(root)


def test_a_folder_that_cannot_be_made_is_not_writable(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file" / "cache"))
    assert not cache.is_writable()
    with pytest.raises(OSError, match="file"):
        cache.make_root()
    with pytest.raises(OSError, match="file"):
        cache.add(str(tmp_path / "file" / "cache" / "a"), writes("one"))


def test_an_entry_is_there_once_it_is_complete(root: pathlib.Path) -> None:
    def write(folder: str) -> None:
        assert not (root / "a").exists()
        assert pathlib.Path(folder).parent == root
        writes("one")(folder)

    cache.add(str(root / "a"), write)
    assert [path.name for path in root.iterdir()] == ["a"]
    assert (root / "a" / "text").read_text() == "one"


def test_what_cannot_be_written_leaves_nothing(root: pathlib.Path) -> None:
    def full(folder: str) -> None:
        writes("half")(folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        cache.add(str(root / "a"), full)
    assert list(root.iterdir()) == []


def test_of_two_processes_that_write_an_entry_the_first_one_wins(root: pathlib.Path) -> None:
    def late(folder: str) -> None:
        cache.add(str(root / "a"), writes("first"))
        writes("late")(folder)

    cache.add(str(root / "a"), late)
    assert [path.name for path in root.iterdir()] == ["a"]
    assert (root / "a" / "text").read_text() == "first"


def test_a_broken_entry_is_replaced(root: pathlib.Path) -> None:
    cache.add(str(root / "a"), writes("broken"))
    cache.add(
        str(root / "a"), writes("whole"), is_complete=lambda path: pathlib.Path(path, "text").read_text() != "broken"
    )
    assert [path.name for path in root.iterdir()] == ["a"]
    assert (root / "a" / "text").read_text() == "whole"


def test_a_cache_that_was_deleted_is_made_again(root: pathlib.Path) -> None:
    cache.add(str(root / "a"), writes("one"))
    shutil.rmtree(root)
    cache.add(str(root / "b"), writes("two"))
    assert [path.name for path in root.iterdir()] == ["b"]


def aged(folder: pathlib.Path, **ages: float) -> None:
    """Make entries of 100 bytes that were used so many seconds ago."""
    now = time.time()
    for name, age in ages.items():
        (folder / name).mkdir()
        (folder / name / "content").write_bytes(bytes(100))
        os.utime(folder / name, (now - age, now - age))


@pytest.mark.parametrize(
    ("max_bytes", "kept"), [(300, ["a", "b", "c"]), (299, ["a", "b"]), (250, ["a", "b"]), (100, ["a"]), (99, [])]
)
def test_the_entries_that_were_not_used_for_longest_go(tmp_path: pathlib.Path, max_bytes: int, kept: list[str]) -> None:
    aged(tmp_path, b=10, c=20, a=0)
    cache.trim(str(tmp_path), max_bytes)
    assert sorted(os.listdir(tmp_path)) == kept


def test_adding_an_entry_trims_the_folder(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_BYTES", 250)
    cache.make_root()
    aged(root, old=1000, older=2000)
    cache.add(str(root / "new"), writes("", 100))
    assert sorted(os.listdir(root)) == ["new", "old"]


def test_what_a_killed_process_left_goes_after_a_day_and_what_is_being_written_stays(tmp_path: pathlib.Path) -> None:
    aged(tmp_path, **{".incoming-dead": cache.DAY + 60, ".incoming-alive": cache.DAY - 60})
    cache.trim(str(tmp_path), 1000)
    assert os.listdir(tmp_path) == [".incoming-alive"]


def test_what_is_being_written_stays_also_where_the_folder_is_full(tmp_path: pathlib.Path) -> None:
    aged(tmp_path, **{".incoming-alive": 0, "a": 10})
    cache.trim(str(tmp_path), 50)
    assert os.listdir(tmp_path) == [".incoming-alive"]


def test_files_beside_the_entries_are_left_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "notes.txt").write_text("x" * 1000)
    cache.trim(str(tmp_path), 10)
    assert os.listdir(tmp_path) == ["notes.txt"]
