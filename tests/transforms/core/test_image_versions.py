"""Versions of images are spelled once, differ with the image, and are read back."""

import os
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.core import image_versions as versions
from transforms.update.compare import version_here

MADE = {
    "generation:1700000000000001": versions.object_version("1700000000000001"),
    "mtime:1700000000123456789,size:4096": versions.file_version(1_700_000_000_123_456_789, 4096),
    'etag:W/"a:b"': versions.answer_version('W/"a:b"', "Sun, 06 Nov 1994 08:49:37 GMT"),
    "last-modified:Sun, 06 Nov 1994 08:49:37 GMT": versions.answer_version("", "Sun, 06 Nov 1994 08:49:37 GMT"),
    "listed:v:2": versions.listed_version("v:2"),
}
KINDS = [versions.GENERATION, versions.MTIME, versions.ETAG, versions.LAST_MODIFIED, versions.LISTED]


def test_each_kind_of_version_has_its_form() -> None:
    assert list(MADE) == list(MADE.values())
    assert (versions.object_version(""), versions.answer_version("", "")) == ("", "")


def test_a_version_tells_its_text_to_who_asks_for_its_kind() -> None:
    for version, kind in zip(MADE, KINDS, strict=True):
        told = {asked: versions.told_by(version, asked) for asked in KINDS}
        assert told == {asked: version.removeprefix(f"{kind}:") if asked == kind else "" for asked in KINDS}
    assert {versions.told_by(odd, kind) for odd in ("", ":", "etagged:x", "17") for kind in KINDS} == {""}


@given(st.text())
def test_any_text_of_a_list_is_kept(text: str) -> None:
    version = versions.listed_version(text)
    assert (versions.is_listed(version), versions.told_by(version, versions.LISTED)) == (True, text)


def test_only_a_lists_own_version_is_listed() -> None:
    assert [version for version in [*MADE, "", "listed"] if versions.is_listed(version)] == ["listed:v:2"]


def test_the_version_of_a_local_file_is_when_it_was_written_and_its_size(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "ä #1%.jpg"
    path.write_bytes(b"abc")
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    quoted = f"file://{tmp_path}/%C3%A4%20%231%25.jpg"
    expected = f"mtime:{path.stat().st_mtime_ns},size:3"
    assert [version_here(uri) for uri in (str(path), quoted)] == [expected, expected]
    (tmp_path / "link.jpg").symlink_to(path)
    assert version_here(str(tmp_path / "link.jpg")) == expected


@pytest.mark.parametrize("name", ["none.jpg", "file/below.jpg", "loop", "a\0b", "x" * 300])
def test_what_cannot_be_looked_at_has_no_version(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    assert version_here(f"{tmp_path}/{name}") == ""
