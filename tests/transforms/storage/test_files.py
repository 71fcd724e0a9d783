"""Files come and go whole, between the local disk and a filesystem."""

import os
import pathlib

import pytest

from tests.servers.gcs import GcsServer
from transforms.storage.files import (
    delete,
    download,
    files_below,
    move,
    read_locally,
    read_whole,
    upload,
    written_locally,
)


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


def test_a_hundred_objects_are_deleted_with_a_request(gcs: GcsServer) -> None:
    """Else a run of a thousand shards takes minutes to clean up after another, and its person pays for each look."""
    uris = [gcs.put(f"{i}", b"x") for i in range(120)]
    kept = gcs.put("kept", b"x")
    gcs.log.clear()
    delete([f"gs://{gcs.bucket}/gone", *uris])
    assert [f"gs://{gcs.bucket}/{name}" for name in gcs.names()] == [kept]
    assert (gcs.asked("POST /batch"), gcs.asked(f"GET /storage/v1/b/{gcs.bucket}/o")) == (2, 0)


def test_objects_that_cannot_be_deleted_are_an_os_error(gcs: GcsServer) -> None:
    uri = gcs.put("a", b"x")
    gcs.fail(403, matching="POST /batch")
    with pytest.raises(OSError, match=f"cannot delete {uri}: "):
        delete([uri])


def test_a_file_is_read_as_it_is_whatever_its_name_says(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(b"not compressed")
    assert read_whole(str(tmp_path / "a.json.gz")) == b"not compressed"
    with pytest.raises(FileNotFoundError):
        read_whole(str(tmp_path / "none"))


@pytest.mark.parametrize("where", ["disk", "bucket"])
def test_what_is_written_locally_is_there_when_the_block_ends_and_is_read_locally(
    tmp_path: pathlib.Path, gcs: GcsServer, where: str
) -> None:
    path = str(tmp_path / "new" / "folder" / "a.bin") if where == "disk" else f"gs://{gcs.bucket}/folder/a.bin"
    with written_locally(path) as local:
        pathlib.Path(local).write_bytes(b"content")
        assert (local == path) is (where == "disk")
    with read_locally(path) as local:
        assert pathlib.Path(local).read_bytes() == b"content"
    assert os.path.exists(local) is (where == "disk")


def test_what_fails_while_it_is_written_locally_is_not_uploaded(gcs: GcsServer) -> None:
    def write_half() -> None:
        with written_locally(f"gs://{gcs.bucket}/a.bin") as local:
            pathlib.Path(local).write_bytes(b"half")
            raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_half()
    assert gcs.names() == []


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


def test_moving_what_is_not_there_is_an_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
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
