"""A run replaces only what it saw, and readers see all of a file or none."""

import concurrent.futures
import pathlib

import pytest

from tests.servers.gcs import GcsServer
from transforms.storage.gcs import LostRaceError
from transforms.storage.versions import exclusive, put_if_unchanged, version_of


@pytest.fixture
def scratch(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def put(text: str, path: pathlib.Path, scratch: pathlib.Path) -> None:
    put_if_unchanged(text, str(path), version_of(str(path)), str(scratch / path.name))


def test_a_file_is_put_whole_over_the_one_before(tmp_path: pathlib.Path, scratch: pathlib.Path) -> None:
    for text in ("first, the longer one", "second ä"):
        put(text, tmp_path / "x.json", scratch)
        assert (tmp_path / "x.json").read_text(encoding="utf-8") == text
    assert list(scratch.iterdir()) == []


def test_a_reader_of_the_old_file_never_sees_the_new_one_grow(tmp_path: pathlib.Path, scratch: pathlib.Path) -> None:
    put("first", tmp_path / "x.json", scratch)
    with open(tmp_path / "x.json") as reader:
        put("second", tmp_path / "x.json", scratch)
        assert reader.read() == "first"


def test_the_folder_of_a_file_is_made(tmp_path: pathlib.Path, scratch: pathlib.Path) -> None:
    put("{}", tmp_path / "out" / "tfrecord" / "features.json", scratch)
    assert (tmp_path / "out" / "tfrecord" / "features.json").read_text() == "{}"


def test_what_cannot_be_put_is_an_error_and_leaves_what_was_there(
    tmp_path: pathlib.Path, scratch: pathlib.Path
) -> None:
    (tmp_path / "x.json").mkdir()
    with pytest.raises(OSError, match=r"x\.json"):
        put("{}", tmp_path / "x.json", scratch)
    assert (tmp_path / "x.json").is_dir()


@pytest.mark.parametrize("seen", ["", "first"])
def test_a_file_that_was_written_meanwhile_is_left_as_it_is(
    tmp_path: pathlib.Path, scratch: pathlib.Path, seen: str
) -> None:
    """(1a)"""
    path = tmp_path / "x.json"
    if seen:
        path.write_text(seen)
    version = version_of(str(path))
    path.write_text("theirs")
    with pytest.raises(LostRaceError, match=r"x\.json was written by another run meanwhile, and is left as it is"):
        put_if_unchanged("mine", str(path), version, str(scratch / "x.json"))
    assert path.read_text() == "theirs"


def test_one_of_many_threads_puts_a_file(tmp_path: pathlib.Path, scratch: pathlib.Path) -> None:
    """(1a)"""

    def race(i: int) -> bool:
        try:
            with exclusive(str(tmp_path / ".lock")):
                put_if_unchanged(str(i), str(tmp_path / "x.json"), "", str(scratch / f"{i}.json"))
        except LostRaceError:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        won = list(pool.map(race, range(40)))
    assert sum(won) == 1
    assert (tmp_path / "x.json").read_text() == str(won.index(True))


def test_an_object_is_put_at_once_without_a_partial_one(gcs: GcsServer) -> None:
    uri = f"gs://{gcs.bucket}/out/x.json"
    for text in ("first, the longer one", "second ä"):
        put_if_unchanged(text, uri, version_of(uri), f"gs://{gcs.bucket}/out/scratch/x.json")
        assert gcs.get("out/x.json").decode() == text
    assert gcs.names() == ["out/x.json"]


def test_an_object_of_another_generation_is_left_as_it_is(strict_gcs: GcsServer) -> None:
    uri = f"gs://{strict_gcs.bucket}/x.json"
    put_if_unchanged("first", uri, "", "")
    seen = version_of(uri)
    with pytest.raises(LostRaceError):
        put_if_unchanged("second", uri, "", "")
    assert strict_gcs.get("x.json") == b"first"
    put_if_unchanged("third", uri, seen, "")
    assert strict_gcs.get("x.json") == b"third"


def test_a_version_tells_contents_apart_and_nothing_has_none(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.json"
    assert version_of(str(path)) == ""
    path.write_text("")
    empty = version_of(str(path))
    path.write_text("text")
    assert len({"", empty, version_of(str(path))}) == 3
