"""Downloading objects of Cloud Storage: whole, as they are, or an error that says why; never wrong bytes."""

import dataclasses
import gzip
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from google.cloud import storage

from tests.servers.gcs import GcsServer
from transforms.core.counters import reset_tally, tally
from transforms.core.image_versions import UnchangedError
from transforms.storage.gcs import PAYS
from transforms.storage.gcs_download import DownloadError, GcsDownload, MissingObjectError, download

DOWNLOAD = GcsDownload(1000, timeout=20.0, attempts=3, pause=0.001)


def lost(function: Callable[..., Any], *arguments: Any) -> DownloadError:
    with pytest.raises(DownloadError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return error.value


@pytest.mark.parametrize(
    "name", ["a.jpg", "a/b c.jpg", "50%.jpg", "50%25+.jpg", "a?b=c&d.jpg", "Käse/日本.jpg", "[1]*.jpg"]
)
def test_an_object_is_downloaded_by_its_name_as_it_is(gcs: GcsServer, name: str) -> None:
    data = name.encode() + b"\x1f\x8b\x00"
    assert DOWNLOAD(gcs.put(name, data)).data == data


@pytest.mark.parametrize("name", ["#1.jpg", "a#b/c.jpg", "a//b/../c.jpg", "gs://b.jpg"])
def test_a_name_that_looks_like_another_part_of_a_uri_is_a_name(strict_gcs: GcsServer, name: str) -> None:
    assert DOWNLOAD(strict_gcs.put(name, b"x")).data == b"x"


def test_one_request_downloads_an_object(gcs: GcsServer) -> None:
    uri = gcs.put("a.jpg", b"x" * 1000)
    assert DOWNLOAD(uri).data == b"x" * 1000
    assert len(gcs.log) == 1


def test_an_object_whose_requester_pays_is_downloaded_for_the_project_that_is_named(
    gcs: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, gcs.requester_pays = gcs.put("a.jpg", b"x"), True
    monkeypatch.delenv(PAYS, raising=False)
    error = lost(DOWNLOAD, uri)
    assert (error.reason, error.transient) == ("permission_denied", False)
    assert str(error) == f"may not be read: {uri}; its requester pays: name the project with --billing_project"
    monkeypatch.setenv(PAYS, "mine")
    assert DOWNLOAD(uri).data == b"x"


def test_the_version_is_the_generation_of_what_came(gcs: GcsServer) -> None:
    for data in (b"1", b"2"):
        assert DOWNLOAD(gcs.put("a.jpg", data)) == (data, f"generation:{gcs.generation('a.jpg')}")


def test_an_object_is_sent_only_if_it_is_of_another_version(gcs: GcsServer) -> None:
    uri = gcs.put("a.jpg", b"old")
    known = f"generation:{gcs.generation('a.jpg')}"
    for _ in range(2):
        with pytest.raises(UnchangedError) as unchanged:
            DOWNLOAD(uri, known)
        assert unchanged.value.version == known
    gcs.put("a.jpg", b"new")
    assert DOWNLOAD(uri, known).data == b"new"
    assert gcs.asked("ifGenerationNotMatch=") == len(gcs.log) == 3
    assert lost(DOWNLOAD, f"gs://{gcs.bucket}/none.jpg", known).reason == "not_found"


def test_answers_without_bytes_leave_the_connection_open(gcs: GcsServer) -> None:
    uri = gcs.put("a.jpg", b"x")
    known = f"generation:{gcs.generation('a.jpg')}"
    for _ in range(3):
        with pytest.raises(UnchangedError):
            DOWNLOAD(uri, known)
    assert DOWNLOAD(uri).data == b"x"
    assert len(set(gcs.peers[-4:])) == 1


@pytest.mark.parametrize("known", ["", "generation:", "generation:²", "generation:1&x=2", 'etag:"1"', "listed:1"])
def test_a_version_that_is_no_generation_asks_for_nothing(gcs: GcsServer, known: str) -> None:
    uri = gcs.put("a.jpg", b"x")
    assert DOWNLOAD(uri, known).data == b"x"
    assert "ifGenerationNotMatch" not in gcs.log[0]
    gcs.fail(304)
    assert lost(DOWNLOAD, uri, known).reason == "http_304"


def test_a_condition_goes_with_further_attempts(gcs: GcsServer) -> None:
    uri = gcs.put("a.jpg", b"x")
    known = f"generation:{gcs.generation('a.jpg')}"
    for fault in (429, 500, "reset"):
        gcs.fail(fault)
    with pytest.raises(UnchangedError):
        DOWNLOAD(uri, known)
    assert gcs.asked("ifGenerationNotMatch=") == len(gcs.log) == 4


def test_a_service_that_ignores_conditions_is_asked_once_all_the_same(
    gcs: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = gcs.put("a.jpg", b"x")
    monkeypatch.setattr(gcs, "is_unchanged", lambda path: False)
    with pytest.raises(UnchangedError):
        DOWNLOAD(uri, f"generation:{gcs.generation('a.jpg')}")
    assert len(gcs.log) == 1


def test_an_empty_object_has_no_bytes(strict_gcs: GcsServer) -> None:
    assert DOWNLOAD(strict_gcs.put("a.jpg", b"")).data == b""


def test_max_bytes_is_the_most_that_is_read(gcs: GcsServer) -> None:
    uri = gcs.put("a.jpg", bytes(1001))
    error = lost(DOWNLOAD, uri)
    assert (error.reason, str(error), error.transient) == ("too_many_bytes", "more than 1000 bytes", False)
    assert len(gcs.log) == 1


def test_three_ways_of_not_being_there_are_three_failures(gcs: GcsServer) -> None:
    uri = f"gs://{gcs.bucket}/none.jpg"
    error = lost(DOWNLOAD, uri)
    assert (error.reason, error.transient, str(error)) == ("not_found", False, f"no such object: {uri}")
    error = lost(DOWNLOAD, f"gs://no-{gcs.bucket}/a.jpg")
    assert (error.reason, error.transient) == ("bucket_not_found", False)
    assert str(error) == f"no such bucket: gs://no-{gcs.bucket}"
    for status in (403, 401):
        gcs.fail(status)
        error = lost(DOWNLOAD, uri)
        assert (error.reason, error.transient, error.attempts) == ("permission_denied", False, 1)
        assert uri in str(error)


def test_whether_a_bucket_is_there_is_asked_once(gcs: GcsServer) -> None:
    for i in range(3):
        assert lost(DOWNLOAD, f"gs://{gcs.bucket}/{i}.jpg").reason == "not_found"
    assert (gcs.asked(), gcs.asked("/o?maxResults=1")) == (3, 1)


def test_a_bucket_that_may_not_be_listed_is_taken_to_be_there(gcs: GcsServer) -> None:
    gcs.fail(403, matching=f"/b/{gcs.bucket}/o?")
    assert lost(DOWNLOAD, f"gs://{gcs.bucket}/none.jpg").reason == "not_found"


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("gs://", "names no bucket"),
        ("gs:///a.jpg", "names no bucket"),
        ("gs://b?x=y#/a.jpg", "names no bucket"),
        ("gs://../a.jpg", "names no bucket"),
        ("gs://bucket", "names no object"),
        ("gs://bucket/", "names no object"),
        ("gs://bucket/..", "names no object"),
        ("gs://bucket/a\nb", "names no object"),
        ("gs://bucket/\udcfc", "surrogates not allowed"),
    ],
)
def test_what_can_be_no_object_is_not_asked_for(gcs: GcsServer, uri: str, says: str) -> None:
    error = lost(DOWNLOAD, uri)
    assert (error.reason, error.transient) == ("bad_uri", False)
    assert says in str(error)
    assert gcs.log == []


@pytest.mark.parametrize("fault", [429, 500, 502, 503, 504, 408, "reset", "cut", "short", "corrupt"])
def test_what_may_pass_is_tried_again(gcs: GcsServer, fault: int | str) -> None:
    uri = gcs.put("a.jpg", b"x" * 1000)
    gcs.fail(fault, times=2)
    reset_tally()
    assert DOWNLOAD(uri).data == b"x" * 1000
    assert gcs.asked() == 3
    assert tally()["fetches-retried"] == 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (500, "http_500"),
        ("reset", "connection"),
        ("cut", "corrupted_download"),
        ("short", "corrupted_download"),
        ("corrupt", "corrupted_download"),
    ],
)
def test_what_does_not_pass_is_a_transient_failure(gcs: GcsServer, fault: int | str, reason: str) -> None:
    uri = gcs.put("a.jpg", b"x" * 1000)
    gcs.fail(fault, times=99)
    error = lost(DOWNLOAD, uri)
    assert (error.reason, error.transient, error.attempts) == (reason, True, 3)
    assert gcs.asked() == 3


@pytest.mark.parametrize("status", [429, 503])
def test_what_is_refused_as_too_much_is_no_attempt(gcs: GcsServer, status: int) -> None:
    """Else a bucket that is warming up, which takes minutes, loses images within a second."""
    uri = gcs.put("a.jpg", b"x")
    gcs.fail(status, times=6)
    assert DOWNLOAD(uri).data == b"x"
    assert gcs.asked() == 7


@pytest.mark.parametrize(
    "impatient", [GcsDownload(1000, timeout=0.5, attempts=1), GcsDownload(1000, attempts=1, patience=0.5)]
)
def test_what_is_refused_until_time_is_up_is_a_transient_failure(gcs: GcsServer, impatient: GcsDownload) -> None:
    uri = gcs.put("a.jpg", b"x")
    gcs.fail(429, times=999)
    error = lost(impatient, uri)
    assert (error.reason, error.transient) == ("http_429", True)
    assert 1 < error.attempts == gcs.asked() < 10


def test_what_breaks_is_tried_again_however_little_patience_there_is_with_refusals(gcs: GcsServer) -> None:
    """Else weights that take minutes to download are given up at the first broken connection."""
    uri = gcs.put("a.jpg", b"x" * 1000)
    gcs.fail("cut", times=2)
    assert dataclasses.replace(DOWNLOAD, patience=0.0)(uri).data == b"x" * 1000


def test_a_refusal_says_how_long_to_wait(gcs: GcsServer) -> None:
    uri = gcs.put("a.jpg", b"x")
    gcs.fail(429, times=999)
    # Longer than there is time, so that there is no second attempt.
    gcs.retry_after = "20"
    error = lost(GcsDownload(1000, timeout=10.0), uri)
    assert (error.reason, error.attempts, gcs.asked()) == ("http_429", 1, 1)
    # And no first one by any other thread.
    assert lost(GcsDownload(1000, timeout=10.0), uri).reason == "timeout"
    assert gcs.asked() == 1


@pytest.mark.parametrize("said", ["", "soon", "nan", "-1", "0"])
def test_a_refusal_that_names_no_time_is_tried_again(gcs: GcsServer, said: str) -> None:
    uri = gcs.put("a.jpg", b"x")
    gcs.retry_after = said
    gcs.fail(429)
    assert DOWNLOAD(uri).data == b"x"


@pytest.mark.parametrize("status", [400, 301, 418])
def test_an_answer_that_stays_is_not_asked_for_again(gcs: GcsServer, status: int) -> None:
    gcs.fail(status, times=99)
    error = lost(DOWNLOAD, f"gs://{gcs.bucket}/a.jpg")
    assert (error.reason, error.transient, len(gcs.log)) == (f"http_{status}", False, 1)


def test_a_slow_answer_is_waited_for_until_time_is_up(gcs: GcsServer) -> None:
    uri = gcs.put("a.jpg", b"x")
    gcs.fail("slow", times=2)
    assert DOWNLOAD(uri).data == b"x"
    error = lost(GcsDownload(1000, timeout=0.05), uri)
    assert (error.reason, error.transient, str(error)) == ("timeout", True, "no whole answer in 0.05 s")


def test_nobody_listening_is_a_transient_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    error = lost(DOWNLOAD, "gs://bucket/a.jpg")
    assert (error.reason, error.transient, error.attempts) == ("connection", True, 3)


def test_an_error_is_an_os_error_and_what_is_not_there_a_file_not_found_error() -> None:
    error = DownloadError("http_503", "the server answered 503", transient=True, error="HTTPError", attempts=3)
    assert isinstance(error, OSError)
    assert not isinstance(error, FileNotFoundError)
    assert (str(error), error.reason, error.transient, error.error, error.attempts) == (
        "the server answered 503",
        "http_503",
        True,
        "HTTPError",
        3,
    )
    assert issubclass(MissingObjectError, DownloadError)
    assert issubclass(MissingObjectError, FileNotFoundError)


def test_only_what_is_not_there_is_missing(gcs: GcsServer) -> None:
    assert isinstance(lost(DOWNLOAD, f"gs://{gcs.bucket}/none.jpg"), MissingObjectError)
    assert isinstance(lost(DOWNLOAD, f"gs://no-{gcs.bucket}/a.jpg"), MissingObjectError)
    for status in (403, 400, 500):
        gcs.fail(status, times=3)
        assert type(lost(DOWNLOAD, f"gs://{gcs.bucket}/a.jpg")) is DownloadError
        gcs.faults.clear()


def put_as_gzip(gcs: GcsServer, name: str, data: bytes) -> str:
    blob = storage.Client("none").bucket(gcs.bucket).blob(name)
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(data))
    return f"gs://{gcs.bucket}/{name}"


def test_what_is_stored_as_gzip_is_inflated_within_limits(strict_gcs: GcsServer, tmp_path: pathlib.Path) -> None:
    assert DOWNLOAD(put_as_gzip(strict_gcs, "a.jpg", b"x" * 1000)).data == b"x" * 1000
    uri = put_as_gzip(strict_gcs, "b.jpg", b"x" * 1001)
    assert lost(DOWNLOAD, uri).reason == "too_many_bytes"
    download(uri, str(tmp_path / "b.jpg"))
    assert (tmp_path / "b.jpg").read_bytes() == b"x" * 1001


def test_a_download_is_checked_and_tried_again(gcs: GcsServer, tmp_path: pathlib.Path) -> None:
    uri = gcs.put("a.bin", bytes(range(256)) * 1000)
    for fault in ("corrupt", "cut", 503):
        gcs.fail(fault)
    download(uri, str(tmp_path / "a.bin"))
    assert (tmp_path / "a.bin").read_bytes() == bytes(range(256)) * 1000
    with pytest.raises(FileNotFoundError, match=r"no such object: gs://.*/none\.bin"):
        download(f"gs://{gcs.bucket}/none.bin", str(tmp_path / "none.bin"))
    gcs.fail(403)
    with pytest.raises(OSError, match="may not be read"):
        download(uri, str(tmp_path / "a.bin"))
