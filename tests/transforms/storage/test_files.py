"""Files come and go whole, between the local disk and a filesystem."""

import os
import pathlib

import pytest
from apache_beam.io.filesystem import BeamIOError

from tests.servers.gcs import GcsServer
from transforms.storage.files import MOVES, delete, download, files_below, move, read_whole, upload, write_whole
from transforms.storage.gcs import LostRaceError, generation_of


def test_what_is_uploaded_is_downloaded_as_it_was(tmp_path: pathlib.Path) -> None:
    content = bytes(range(256)) * 9000
    (tmp_path / "local.gz").write_bytes(content)
    assert upload(str(tmp_path / "local.gz"), str(tmp_path / "there.gz")) == len(content)
    download(str(tmp_path / "there.gz"), str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content


def test_what_is_uploaded_to_a_bucket_is_downloaded_as_it_was(gcs: GcsServer, tmp_path: pathlib.Path) -> None:
    content = bytes(range(256)) * 9
    (tmp_path / "local.gz").write_bytes(content)
    uri = f"gs://{gcs.bucket}/out/there.gz"
    assert upload(str(tmp_path / "local.gz"), uri) == len(content)
    assert gcs.get("out/there.gz") == content
    download(uri, str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content


def test_bytes_that_were_corrupted_on_the_way_from_a_bucket_are_not_taken(
    gcs: GcsServer, tmp_path: pathlib.Path
) -> None:
    uri = gcs.put("a.bin", b"123456789")
    gcs.fail("corrupt")
    download(uri, str(tmp_path / "a.bin"))
    assert (tmp_path / "a.bin").read_bytes() == b"123456789"
    assert gcs.asked() == 2


def test_deleting_what_is_gone_is_no_error(tmp_path: pathlib.Path) -> None:
    (tmp_path / "here").write_text("")
    delete([str(tmp_path / "gone"), str(tmp_path / "here")])
    assert list(tmp_path.iterdir()) == []


def test_deleting_objects_that_are_gone_is_no_error_and_a_name_is_no_pattern(gcs: GcsServer) -> None:
    uris = [gcs.put(name, b"x") for name in ("a[1].txt", "a1.txt")]
    delete([f"gs://{gcs.bucket}/gone", uris[0]])
    assert gcs.names() == ["a1.txt"]


def test_a_file_is_read_as_it_is_whatever_its_name_says(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(b"not compressed")
    assert read_whole(str(tmp_path / "a.json.gz")) == b"not compressed"
    with pytest.raises(FileNotFoundError):
        read_whole(str(tmp_path / "none"))


@pytest.fixture
def scratch(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def test_a_file_is_put_whole_over_the_one_before(tmp_path: pathlib.Path, scratch: pathlib.Path) -> None:
    for text in ("first, the longer one", "second ä"):
        write_whole(text, str(tmp_path / "x.json"), str(scratch / "x.json"))
        assert (tmp_path / "x.json").read_text(encoding="utf-8") == text
    assert list(scratch.iterdir()) == []


def test_a_reader_of_the_old_file_never_sees_the_new_one_grow(tmp_path: pathlib.Path, scratch: pathlib.Path) -> None:
    write_whole("first", str(tmp_path / "x.json"), str(scratch / "x.json"))
    with open(tmp_path / "x.json") as reader:
        write_whole("second", str(tmp_path / "x.json"), str(scratch / "x.json"))
        assert reader.read() == "first"


def test_the_folder_of_a_file_is_made(tmp_path: pathlib.Path, scratch: pathlib.Path) -> None:
    write_whole("{}", str(tmp_path / "out" / "tfrecord" / "features.json"), str(scratch / "features.json"))
    assert (tmp_path / "out" / "tfrecord" / "features.json").read_text() == "{}"


def test_what_cannot_be_put_is_an_error_and_leaves_what_was_there(
    tmp_path: pathlib.Path, scratch: pathlib.Path
) -> None:
    (tmp_path / "x.json").mkdir()
    with pytest.raises(OSError, match=r"x\.json"):
        write_whole("{}", str(tmp_path / "x.json"), str(scratch / "x.json"))
    assert (tmp_path / "x.json").is_dir()


def test_an_object_is_put_at_once_without_a_partial_one(gcs: GcsServer) -> None:
    for text in ("first, the longer one", "second ä"):
        write_whole(text, f"gs://{gcs.bucket}/out/x.json", f"gs://{gcs.bucket}/out/scratch/x.json")
        assert gcs.get("out/x.json").decode() == text
    assert gcs.names() == ["out/x.json"]


def test_an_object_of_another_generation_is_left_as_it_is(strict_gcs: GcsServer) -> None:
    uri = f"gs://{strict_gcs.bucket}/x.json"
    write_whole("first", uri, "", 0)
    seen = generation_of(uri)
    with pytest.raises(LostRaceError):
        write_whole("second", uri, "", 0)
    assert strict_gcs.get("x.json") == b"first"
    write_whole("third", uri, "", seen)
    assert strict_gcs.get("x.json") == b"third"


def test_a_file_is_moved_into_a_folder_that_is_made(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").write_text("content")
    move(str(tmp_path / "a"), str(tmp_path / "new" / "folder" / "b"))
    assert (tmp_path / "new" / "folder" / "b").read_text() == "content"
    assert not (tmp_path / "a").exists()


def test_a_file_is_moved_over_the_one_before(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").write_text("new")
    (tmp_path / "b").write_text("old")
    move(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").read_text() == "new"


def test_a_file_is_moved_under_names_with_magic_characters(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a[1]*").write_text("content")
    move(str(tmp_path / "a[1]*"), str(tmp_path / "out[1]" / "b?"))
    assert (tmp_path / "out[1]" / "b?").read_text() == "content"


def removing(folder: pathlib.Path, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let another run remove an empty folder just before each of the next renames."""
    rename, left = os.rename, [times]

    def rename_after_removal(source: str, destination: str) -> None:
        if left[0]:
            left[0] -= 1
            folder.rmdir()
        rename(source, destination)

    monkeypatch.setattr("os.rename", rename_after_removal)


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
    with pytest.raises(BeamIOError, match="parquet/b"):
        move(str(tmp_path / "a"), str(tmp_path / "parquet" / "b"))
    assert (tmp_path / "a").read_text() == "content"


def test_a_small_file_survives_a_folder_that_another_run_removes_in_between(
    tmp_path: pathlib.Path, scratch: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removing(tmp_path / "tfrecord", 2, monkeypatch)
    write_whole("{}", str(tmp_path / "tfrecord" / "features.json"), str(scratch / "features.json"))
    assert (tmp_path / "tfrecord" / "features.json").read_text() == "{}"


def test_moving_what_is_not_there_is_an_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(BeamIOError, match="none"):
        move(str(tmp_path / "none"), str(tmp_path / "folder" / "b"))


def test_an_object_is_moved_within_its_bucket(gcs: GcsServer) -> None:
    move(gcs.put("scratch/a.txt", b"content"), f"gs://{gcs.bucket}/parquet/b.txt")
    assert gcs.names() == ["parquet/b.txt"]
    assert gcs.get("parquet/b.txt") == b"content"


def test_all_files_below_a_folder_are_listed_hidden_ones_too(tmp_path: pathlib.Path) -> None:
    names = ["a.txt", ".run-RUN/owner.json", "parquet/b.parquet", "deep/er/.c"]
    for folder in ("out[1]", "out1"):
        for name in names:
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).write_text(name)
    found = {m.path: m.size_in_bytes for m in files_below(str(tmp_path / "out[1]"))}
    assert found == {str(tmp_path / "out[1]" / name): len(name) for name in names}
    assert files_below(str(tmp_path / "nowhere")) == []


def test_all_objects_below_a_folder_are_listed(gcs: GcsServer) -> None:
    uris = [gcs.put(name, b"x") for name in ("out/.run-RUN/owner.json", "out/parquet/a.parquet")]
    gcs.put("other/a.txt", b"x")
    assert sorted(m.path for m in files_below(f"gs://{gcs.bucket}/out")) == uris
