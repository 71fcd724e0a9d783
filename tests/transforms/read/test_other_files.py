"""Files that are no images by their names: refused with a way out, and not fetched from a folder."""

import mimetypes
import pathlib

import pytest

from tests.conftest import sample_image
from transforms import Failure, ReadImageUris
from transforms.core.errors import UsageError
from transforms.core.failures import REASONS
from transforms.read.other_files import OTHERS, other_file, refuse_other_files, refuse_pages
from transforms.read.rows import read_source


@pytest.mark.parametrize(
    ("path", "says"),
    [
        *(
            (f"a{suffix}", "is an archive; unpack it, and name the folder")
            for suffix in (".tar", ".tar.gz", ".zip", ".7z")
        ),
        ("a.json", "is JSON but no JSON lines; write one object a line, and name it .jsonl"),
        *((f"a{suffix}", "save it as .csv, .jsonl or .parquet") for suffix in (".xlsx", ".feather", ".tfrecord")),
        *((f"a{suffix}", "use gzip, bzip2 or zstd") for suffix in (".csv.xz", ".csv.lz4")),
        ("a.gz", "name it .txt.gz, .csv.gz, .jsonl.gz, or unpack it"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_a_way_out(path: str, says: str) -> None:
    """(2e) A run of a list that is taken for an image fails, and does not say why."""
    with pytest.raises(UsageError) as error:
        refuse_other_files(path.upper())
    assert str(error.value).startswith(f"--input {path.upper()} ")
    assert says in str(error.value)


@pytest.mark.parametrize("path", ["a.jpg", "a.csv.gz", "a", "a.tiff", "json", "x.zip/a.jpg", "a.webp", "a.unknown"])
def test_images_and_lists_are_not_refused(path: str) -> None:
    refuse_other_files(path)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("https://drive.google.com/file/d/1aB/view?usp=sharing", ": a page of Google Drive or Photos, not an image"),
        ("https://drive.google.com/drive/folders/1aB", "copy it to a bucket, and name that"),
        ("https://photos.app.goo.gl/x", ": a page of Google Drive or Photos, not an image"),
        ("https://host/photos.ZIP", "is no image; download it, and unpack or convert it"),
        ("https://host/list.csv", "is a uri list, not read over http; download it, and name the copy"),
    ],
)
def test_what_http_gives_that_is_no_image_is_refused_with_a_way_out(uri: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        ReadImageUris([uri])
    assert says in str(error.value)


@pytest.mark.parametrize(
    "uri",
    [
        "https://host/a.jpg",
        "https://host/a",
        "https://host/thumbnail.json?w=200",
        "https://drive.google.com/uc?export=download&id=1aB",
        "https://host/drive.google.com/a.png",
    ],
)
def test_what_may_be_an_image_over_http_is_not_refused(uri: str) -> None:
    refuse_pages(uri)


def test_what_the_standard_library_takes_for_an_image_is_never_another_file() -> None:
    types = mimetypes.MimeTypes().types_map[True]
    # Sidecars of a photo are XML, whatever their registered type is.
    images = {suffix for suffix, type_ in types.items() if type_.startswith("image/")}
    assert not images & OTHERS
    assert {suffix for suffix, type_ in types.items() if type_.startswith(("video/", "audio/"))} >= {".mov", ".mp4"}


@pytest.mark.parametrize("name", ["a.MOV", "b.json", "IMG_1.AAE", "notes.txt", "Thumbs.db", "x.tar.gz", "p.jpg.gz"])
def test_a_file_of_a_folder_that_is_no_image_is_a_failure_and_not_looked_at(name: str, tmp_path: pathlib.Path) -> None:
    sample_image(0).save(tmp_path / "a.jpg")
    # A link to a pipe could not be read.
    (tmp_path / name).touch()
    (source,) = ReadImageUris([str(tmp_path)]).sources
    rows = list(read_source(source, ReadImageUris([str(tmp_path)]).carried))
    (lost,) = [row for row in rows if isinstance(row, Failure)]
    assert (lost.source.uri, lost.stage, lost.reason, lost.kind) == (
        str(tmp_path / name),
        "read",
        "other_file",
        "permanent",
    )
    assert lost.reason in REASONS
    assert len(rows) == 2


@pytest.mark.parametrize("name", ["a.jpg", "b", "0123abcd", "a.jpg_large", "x.1", ".mov", "mov", "a.svg", "a.heic"])
def test_what_may_be_an_image_is_tried(name: str) -> None:
    assert other_file(f"/x.mov/{name}") == ""


def test_a_uri_list_in_a_folder_is_told_to_be_named() -> None:
    assert other_file("/photos/list.csv") == "a uri list; name it as an --input to read it"
