"""A stranger's uri is fetched only below what is allowed, however it is spelled."""

import os
import pathlib

import pytest

from transforms.core.errors import ImageError
from transforms.fetch.prefixes import AllowedPrefixes, place_of_prefix


def allows(prefix: str, uri: str) -> bool:
    try:
        AllowedPrefixes(("gs://another/", prefix)).check(uri)
    except ImageError as e:
        if (e.reason, e.transient) != ("forbidden_prefix", False):
            raise
        return False
    return True


@pytest.mark.parametrize(
    ("prefix", "uri"),
    [
        ("gs://b/pub", "gs://b/pub/a.jpg"),
        ("gs://b/pub/", "gs://b/pub/a.jpg"),
        ("gs://b", "gs://b/a.jpg"),
        ("gs://", "gs://b/a.jpg"),
        ("s3://b/ä b", "s3://b/ä b/%.jpg"),
        ("https://h", "https://h/a.jpg?w=1"),
        ("https://H:443/pub/", "HTTPS://h/pub/a.jpg"),
        ("https://h/ä b/", "https://me:pw@h/%C3%A4%20b/a.jpg#x"),
        ("http://h/pub", "http://h/x/../pub/./a.jpg"),
        ("http://h/pub", "http://h/pub//../a.jpg"),
        ("http://h/pub", "http://h/pub"),
        ("http://h/pub", "http://h/pub/..a/b../...;/.a;.%25C3%25A9.jpg?x=/../"),
        ("http://h/pub", "http://h/pub/%C0%20la%20carte.jpg"),
        ("http://[::1]:8/", "http://[::1]:8/a.jpg"),
        ("https://", "https://h/a.jpg"),
    ],
)
def test_what_is_below_a_prefix_is_allowed(prefix: str, uri: str) -> None:
    """(4f)"""
    assert allows(prefix, uri)


@pytest.mark.parametrize(
    ("prefix", "uri"),
    [
        ("gs://b/pub", "gs://b/public/a.jpg"),
        ("gs://b/pub", "gs://b2/pub/a.jpg"),
        ("gs://b/pub", "s3://b/pub/a.jpg"),
        ("gs://b/pub", "gs://b/pub/../secret/a.jpg"),
        ("gs://b/pub", "gs://b/secret/../pub/a.jpg"),
        ("gs://b/pub", "/b/pub/a.jpg"),
        ("https://h", "http://h/a.jpg"),
        ("https://h", "https://h.evil/a.jpg"),
        ("https://h", "https://h@evil/a.jpg"),
        ("https://h", "https://evil\\@h/a.jpg"),
        ("https://h", "https://evil/@h/a.jpg"),
        ("https://h", "https://h:444/a.jpg"),
        ("https://h", "https://evil#@h/a.jpg"),
        ("http://h/pub", "http://h/pub/../secret/a.jpg"),
        ("http://h/pub", "http://h/pub/%2e%2e/secret/a.jpg"),
        ("http://h/pub", "http://h/pub/.%2E/secret/a.jpg"),
        ("http://h/pub", "http://h/pub%2f..%2fsecret/a.jpg"),
        ("http://h/pub", "http://h/pub/..\\secret/a.jpg"),
        ("http://h/pub", "http://h/pub/..%5csecret/a.jpg"),
        ("http://h/pub", "http://h/pub//%2e%2e/secret/a.jpg"),
        ("http://h/pub", "http://h/secret//../pub/a.jpg"),
        ("http://h/pub", "http://h/secret/..%2fpub/a.jpg"),
        ("http://h/pub", "http://h/pub%00/a.jpg"),
        ("http://h/pub", "http://h/pub/x/%2e%2e/a.jpg"),
        ("http://h/pub", "http://h/pub/..;/secret/a.jpg"),
        ("http://h/pub", "http://h/pub/.;x/..;a=b/secret/a.jpg"),
        ("http://h/pub", "http://h/pub/..%00/secret/a.jpg"),
        ("http://h/pub", "http://h/pub/..%3b/secret/a.jpg"),
        ("http://h/pub", "http://h/pub/..%3fx/secret/a.jpg"),
        ("http://h/pub", "http://h/pub/..%20/secret/a.jpg"),
        ("http://h/pub", "http://h/pub/%252e%252e/secret/a.jpg"),
        ("http://h/pub", "http://h/pub/x%25252f..%25252fsecret/a.jpg"),
        ("http://h/pub", "http://h/pub/%25%32%65./secret/a.jpg"),
        ("http://h/pub", "http://h/pub/%c0%ae%c0%ae/secret/a.jpg"),
        ("http://h/pub", "http://h/pub/%25c0%25ae./secret/a.jpg"),
        ("http://h/pub", "http://h/pub/%c0%2e%c0%6e/secret/a.jpg"),
        ("http://h/pub", "http://h/pub/%e0%80%ae%f0%80%80%ae/secret/a.jpg"),
        ("http://h/pub", "http://h/pub/..%c0%af..%c1%9csecret/a.jpg"),
        ("http://h/pub", f"http://h/pub/%{'25' * 20}2e%2e/secret/a.jpg"),
        ("gs://b/pub", "gs://b/pub/..;/secret/a.jpg"),
        ("http://h/pub", "http://h/PUB/a.jpg"),
        ("/", "http://h/a.jpg"),
    ],
)
def test_what_is_not_below_a_prefix_in_every_reading_is_forbidden(prefix: str, uri: str) -> None:
    """(4f): a scheduled job would fetch what only its own account may read."""
    assert not allows(prefix, uri)


def test_a_local_path_is_compared_where_its_links_lead(tmp_path: pathlib.Path) -> None:
    """(4f): a link in a public folder would lead to any file of the machine."""
    (tmp_path / "pub").mkdir()
    (tmp_path / "link").symlink_to("pub")
    (tmp_path / "pub" / "out").symlink_to("/etc")
    (tmp_path / "pub" / "a.jpg").touch()
    for prefix in (f"{tmp_path}/pub", f"{tmp_path}/link/", f"file://{tmp_path}/pub"):
        assert allows(prefix, f"{tmp_path}/pub/a.jpg")
        assert allows(prefix, f"{tmp_path}/link/none.jpg")
        assert allows(prefix, f"file://{tmp_path}/pub/%61.jpg")
        forbidden = ["pub/out/passwd", "pub/../secret.jpg", "public/a.jpg", "pub/out/../../etc/passwd", "pub2"]
        for name in forbidden:
            assert not allows(prefix, f"{tmp_path}/{name}"), name
    assert not allows(str(tmp_path), "/proc/self/root/etc/passwd")
    assert not allows(str(tmp_path), os.path.relpath("/etc/passwd"))
    assert allows("/", "/etc/passwd")


def test_a_path_that_is_encoded_without_end_takes_no_time() -> None:
    """(4f)"""
    assert not allows("http://h/pub", f"http://h/pub/%{'25' * 500_000}")


@pytest.mark.parametrize("prefix", ["https://h/pub?w=1", "https://h/pub?", "http://h/#x", "https://me:pw@h/pub"])
def test_a_prefix_that_says_more_than_where_is_none(prefix: str) -> None:
    """(4f): what it says beyond that would be dropped, and more would be fetched than is allowed."""
    with pytest.raises(ValueError, match="has a user, a query or a fragment, which are not compared"):
        place_of_prefix(prefix)


@pytest.mark.parametrize("prefix", ["gs://b/a?b#c", "/photos/a?b", "https://h/a%3Fb"])
def test_a_question_mark_in_a_name_is_none_of_a_query(prefix: str) -> None:
    assert allows(prefix, f"{prefix}/a.jpg")


def test_without_a_prefix_everything_is_allowed() -> None:
    AllowedPrefixes().check("/etc/passwd")
    AllowedPrefixes().check("no uri at all: \0")


@pytest.mark.parametrize("uri", ["http://h:99999/", "http://[::1", "/a\0b"])
def test_a_uri_that_is_none_is_called_so(uri: str) -> None:
    with pytest.raises(ImageError) as error:
        AllowedPrefixes(("/",)).check(uri)
    assert error.value.reason == "bad_uri"
