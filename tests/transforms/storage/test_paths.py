"""Paths and uris: the scheme, the one form by which an image is known, the files that a pattern matches."""

import ntpath
import os
import pathlib
import subprocess
import sys

import pytest
from apache_beam.io.filesystem import FileMetadata, MatchResult
from apache_beam.io.filesystems import FileSystems

from tests.servers.gcs import GcsServer
from transforms.storage.paths import (
    Found,
    canonical_uri,
    first_match,
    fixed_part,
    folder_pattern,
    is_file,
    local_path,
    matching_files,
    scheme_of,
    visible_below,
)


def files(folder: pathlib.Path, *names: str) -> list[str]:
    """Make empty files; return their absolute paths."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [str(folder / name) for name in names]


def matched(pattern: object) -> list[str]:
    return [file.path for file in matching_files(str(pattern))]


@pytest.mark.parametrize(
    ("path", "folder", "uri"),
    [
        ("a.jpg", "/x", "/x/a.jpg"),
        ("./b/../a.jpg", "/x", "/x/a.jpg"),
        ("a#1 ä.jpg", "s3://b/x", "s3://b/x/a#1 ä.jpg"),
        ("\udcfc ä.jpg", "s3://b/x", "s3://b/x/%FC ä.jpg"),
        ("HTTPS://h/a?b=c#d", "/x", "HTTPS://h/a?b=c#d"),
        ("file:///a%20b.jpg", "s3://b", "/a b.jpg"),
        ("a/x://b.jpg", "/y", "/y/a/x:/b.jpg"),
        ("/a.jpg", "s3://b/x", "/a.jpg"),
        ("file:///\udcfc.jpg", "s3://b", "file:///%FC.jpg"),
    ],
)
def test_a_uri_is_relative_to_the_folder_of_its_list(path: str, folder: str, uri: str) -> None:
    assert canonical_uri(path, folder) == uri


def test_without_a_folder_a_path_is_relative_to_the_working_folder(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert canonical_uri("b/../a.jpg") == canonical_uri(f"{tmp_path}/a.jpg") == f"{tmp_path}/a.jpg"


@pytest.mark.parametrize(
    "path",
    ["/a b.jpg", "/a#1.jpg", "/100%.jpg", "/f\udcfc/ä.jpg", "https://h/\udcfc?x=%FC", "gs://b/a b.jpg", "s3://b"],
)
def test_the_one_form_of_a_uri_is_its_own_and_can_be_written(path: str) -> None:
    uri = canonical_uri(path)
    assert canonical_uri(uri) == canonical_uri(uri, "/elsewhere") == canonical_uri(uri, "s3://b/elsewhere") == uri
    assert uri.encode()


def test_a_name_that_is_not_utf8_is_a_percent_encoded_uri() -> None:
    assert canonical_uri("/f%/\udcfc ä.jpg") == "file:///f%25/%FC%20%C3%A4.jpg"
    assert canonical_uri("https://h/\udcfc ä%.jpg") == "https://h/%FC ä%.jpg"


@pytest.mark.parametrize(
    ("path", "scheme"),
    [
        ("GS://b/x", "gs"),
        ("/a", ""),
        ("C:/a", ""),
        ("a/b://c", ""),
        ("1a://b", ""),
        ("a.b+c-d://e", "a.b+c-d"),
        ("ä://b", ""),
    ],
)
def test_a_scheme_is_what_stands_before_its_slashes(path: str, scheme: str) -> None:
    assert scheme_of(path) == scheme


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a%20b%23.jpg", "/a b#.jpg"),
        ("file://localhost/a.jpg", "/a.jpg"),
        ("FILE:///a.jpg", "/a.jpg"),
        ("file:///%FC.jpg", "/\udcfc.jpg"),
        ("file:///ä.jpg", "/ä.jpg"),
        ("file:///\udcfc%FC.jpg", "/\udcfc\udcfc.jpg"),
    ],
)
def test_a_file_uri_names_a_local_path(uri: str, path: str) -> None:
    assert local_path(uri) == path


def test_the_pattern_of_a_folder_matches_all_below_it_in_order(tmp_path: pathlib.Path) -> None:
    expected = files(tmp_path, "b.jpg", "a/2.jpg", "a/1/x.jpg", "c d/#.jpg")
    for end in ("", "/", "//"):
        assert matched(folder_pattern(f"{tmp_path}{end}")) == sorted(expected)


def test_a_folder_of_a_name_with_wildcards_is_matched_alone(tmp_path: pathlib.Path) -> None:
    (one, _) = files(tmp_path, "out[1]*/a.jpg", "out1x/a.jpg")
    assert matched(folder_pattern(str(tmp_path / "out[1]*"))) == [one]


def test_a_pattern_matches_files_that_are_not_hidden_below_its_fixed_part(tmp_path: pathlib.Path) -> None:
    shown = files(tmp_path / ".root", "a.jpg", "b/c.jpg")
    files(tmp_path / ".root", ".a.jpg", "b/.c.jpg", ".git/a.jpg")
    assert matched(folder_pattern(str(tmp_path / ".root"))) == shown


def test_a_pattern_that_matches_nothing_gives_nothing(tmp_path: pathlib.Path) -> None:
    assert matched(tmp_path / "*.jpg") == matched(folder_pattern(str(tmp_path / "nowhere"))) == []


def test_a_file_is_none_that_is_a_folder_or_is_not_there(tmp_path: pathlib.Path) -> None:
    (path,) = files(tmp_path, "a[1].jpg")
    assert [is_file(name) for name in (path, str(tmp_path), f"{path}x", "")] == [True, False, False, False]


def test_an_object_is_a_file_and_what_lies_below_a_prefix_is_matched(gcs: GcsServer) -> None:
    uris = [gcs.put(name, b"x") for name in ("p/a.jpg", "p/b/c d.jpg")]
    gcs.put("p/.hidden.jpg", b"x")
    gcs.put("other/a.jpg", b"x")
    assert (is_file(uris[0]), is_file(f"{uris[0]}x")) == (True, False)
    assert matched(folder_pattern(f"gs://{gcs.bucket}/p/")) == uris


@pytest.mark.parametrize(
    ("pattern", "fixed"),
    [
        ("a/b.jpg", "a/b.jpg"),
        ("a/b*.jpg", "a/b"),
        ("a/[bc].jpg", "a/"),
        ("a [[]1][*]/?.jpg", "a [1]*/"),
        ("**", ""),
        ("a/[", "a/"),
    ],
)
def test_what_a_pattern_begins_with_is_fixed(pattern: str, fixed: str) -> None:
    assert fixed_part(pattern) == fixed


def test_a_name_is_hidden_only_below_what_is_fixed() -> None:
    is_visible = visible_below(".a/b")
    assert [is_visible(path) for path in (".a/b.jpg", ".a/.b.jpg", ".a/b/.c/d.jpg", ".a/b/c.jpg")] == [
        True,
        False,
        False,
        True,
    ]


class OtherFilesystem:
    """A filesystem of Beam that is not here, with what it tells of its files."""

    def __init__(self, *files: FileMetadata):
        self.files = files

    def match(self, patterns: list[str], limits: list[int | None]) -> list[MatchResult]:
        return [MatchResult(patterns[0], list(self.files)[: limits[0]])]


def test_another_filesystem_tells_versions_if_it_knows_times_and_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    files = OtherFilesystem(
        FileMetadata("s3://b/c.jpg", 7), FileMetadata("s3://b/a.jpg", 0, 1.5), FileMetadata("s3://b/b.jpg", 5, 0.25)
    )
    monkeypatch.setattr(FileSystems, "match", files.match)
    assert list(matching_files("s3://b/*")) == [
        Found("s3://b/a.jpg", "mtime:1500000000,size:0"),
        Found("s3://b/b.jpg", "mtime:250000000,size:5"),
        Found("s3://b/c.jpg"),
    ]


def test_the_first_match_is_one_that_is_not_hidden(tmp_path: pathlib.Path) -> None:
    folder = folder_pattern(str(tmp_path))
    assert first_match(folder) == ""
    files(tmp_path, ".a.jpg", ".git/b.jpg")
    assert first_match(folder) == ""
    files(tmp_path, "c.jpg")
    assert first_match(folder) == str(tmp_path / "c.jpg")
    assert first_match(str(tmp_path / "*.png")) == ""


def test_no_more_of_a_bucket_is_listed_than_must_be(strict_gcs: GcsServer) -> None:
    """Else the launch of a job over millions of images takes minutes before anything is said."""
    for i in range(25):
        strict_gcs.put(f"p/{i}.jpg", b"x")
    folder, strict_gcs.page = folder_pattern(f"gs://{strict_gcs.bucket}/p"), 10
    assert len(matched(folder)) == 25
    assert strict_gcs.asked("/o?") == 3
    strict_gcs.log.clear()
    assert first_match(folder).startswith(f"gs://{strict_gcs.bucket}/p/")
    assert strict_gcs.asked("/o?") == 1


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        (r"C:\photos\a.jpg", "C:/photos/a.jpg"),
        (r"C:\photos\..\b\a.jpg", "C:/b/a.jpg"),
        (r"\\server\share\a.jpg", "//server/share/a.jpg"),
        ("file:///C:/photos/a%20b.jpg", "C:/photos/a b.jpg"),
        ("C:\\photos\\a ", "file://C%3A/photos/a%20"),
        ("file://C:/photos/a%20", "file://C%3A/photos/a%20"),
        ("gs://bucket/a\\b.jpg", "gs://bucket/a\\b.jpg"),
    ],
)
def test_a_path_of_windows_has_slashes(path: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as windows:
        windows.setattr("os.path", ntpath)
        windows.setattr("os.sep", "\\")
        found = canonical_uri(path)
    assert found == uri


def test_importing_it_does_not_import_beam() -> None:
    code = "import sys, transforms.storage.paths as p; print(p.canonical_uri('/a'), 'apache_beam' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["/a", "False"]


def test_a_file_on_disk_is_found_by_its_one_form(tmp_path: pathlib.Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xfc \xc3\xa4%.jpg"
    with open(path, "wb"):
        pass
    assert os.path.isfile(local_path(canonical_uri(os.fsdecode(path))))
