"""Images are fetched whole from disk, Cloud Storage, filesystems and http, or lost with a reason."""

import dataclasses
import os
import pathlib
import random
import stat
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.filesystem import BeamIOError
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from tests.conftest import answer
from tests.servers.gcs import GcsServer
from tests.servers.web import Resource
from transforms import FetchImages, Image, ImageError, ImageUri
from transforms.core.counters import counted
from transforms.core.errors import UsageError
from transforms.core.failures import Failure
from transforms.fetch.http import HttpFetch
from transforms.fetch.images import Fetch, fetch_from_filesystem, fetch_local, fetch_object
from transforms.storage.gcs_download import GcsDownload

DOWNLOAD = GcsDownload(1000, timeout=20.0, attempts=3, pause=0.001)
FETCH = Fetch(1000, HttpFetch(1000, timeout=20.0, attempts=2, allow_private_hosts=True, pause=0.001), DOWNLOAD)


def lost(function: Callable[..., Any], *arguments: Any) -> ImageError:
    with pytest.raises(ImageError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return error.value


def read_local(path: str, max_bytes: int) -> bytes:
    return fetch_local(path, max_bytes).data


@pytest.mark.parametrize("function", [read_local, fetch_from_filesystem])
def test_a_file_is_read_as_it_is(tmp_path: pathlib.Path, function: Callable[..., bytes]) -> None:
    for name in ("a.jpg", "a b#1%.jpg", "Käse.jpg", "looks-compressed.jpg.gz"):
        path, data = tmp_path / name, name.encode() + b"\x1f\x8b\x00"
        path.write_bytes(data)
        assert function(str(path), 1000) == data


@pytest.mark.parametrize("function", [read_local, fetch_from_filesystem])
def test_max_bytes_is_the_most_that_is_read(tmp_path: pathlib.Path, function: Callable[..., bytes]) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(bytes(1000))
    assert len(function(str(path), 1000)) == 1000
    error = lost(function, str(path), 999)
    assert (error.reason, str(error), error.transient) == ("too_many_bytes", "more than 999 bytes", False)


def test_max_bytes_is_exact_wherever_an_image_is(gcs: GcsServer, tmp_path: pathlib.Path) -> None:
    """(5f)"""
    path, noise = tmp_path / "a.jpg", random.Random(0).randbytes(1001)
    for size, reason in ((1000, ""), (1001, "too_many_bytes")):
        path.write_bytes(noise[:size])
        for uri in (str(path), gcs.put(f"{size}.jpg", noise[:size])):
            if reason:
                assert lost(FETCH, ImageUri(uri)).reason == reason
            else:
                assert FETCH(ImageUri(uri)).data == noise[:size]


@pytest.mark.skipif(not os.path.exists("/proc/kmsg"), reason="no /proc/kmsg")
def test_a_file_that_the_system_makes_up_is_not_waited_for() -> None:
    """(4c): /proc/kmsg looks like a file, and reading it waits for the kernel's next message, and takes it away."""
    for path in ("/proc/kmsg", "/proc/self/status", "/proc/self/environ"):
        assert lost(fetch_local, path, 1000).reason in ("not_a_file", "permission_denied")
    assert "made up by the system" in str(lost(fetch_local, "/proc/self/status", 1000))


def test_an_empty_file_has_no_bytes(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert read_local(str(tmp_path / "a.jpg"), 1000) == b""


@pytest.mark.parametrize(
    ("name", "reason", "says"),
    [
        ("none.jpg", "not_found", "no such file: {folder}/none.jpg"),
        ("file/below.jpg", "not_found", "no such file: {folder}/file/below.jpg"),
        ("dangling", "not_found", "no such file: {folder}/dangling"),
        ("", "not_a_file", "a folder: {folder}/"),
        ("pipe", "not_a_file", "no regular file: {folder}/pipe"),
        ("socket", "not_a_file", "no regular file: {folder}/socket"),
        (
            "../../../../../../../../dev/zero",
            "not_a_file",
            "no regular file: {folder}/../../../../../../../../dev/zero",
        ),
        ("loop", "io_error", "Too many levels of symbolic links"),
        ("x" * 300, "io_error", "File name too long"),
        ("a\0b", "bad_uri", "embedded null byte"),
    ],
    ids=lambda value: value[:10].replace("\0", "0"),
)
def test_what_is_no_file_has_a_reason(tmp_path: pathlib.Path, name: str, reason: str, says: str) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    os.mknod(tmp_path / "socket", stat.S_IFSOCK | 0o600)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    error = lost(fetch_local, f"{tmp_path}/{name}", 1000)
    assert error.reason == reason
    assert error.transient == (reason == "io_error")
    assert says.format(folder=tmp_path) in str(error)


def test_what_becomes_a_pipe_before_it_is_opened_is_not_waited_for(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(4c): a pipe without a writer would hold the thread for ever."""
    os.mkfifo(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").touch()
    looked_at = os.stat(tmp_path / "b.jpg")
    monkeypatch.setattr(os, "stat", lambda *_, **__: looked_at)
    error = lost(fetch_local, f"{tmp_path}/a.jpg", 1000)
    assert (error.reason, error.transient) == ("not_a_file", False)


def test_a_file_that_may_not_be_read_says_so(tmp_path: pathlib.Path) -> None:
    path, user = tmp_path / "a.jpg", os.geteuid()
    path.touch(mode=0o000)
    if user == 0:
        # For root there is no file that may not be read.
        os.seteuid(65534)
    try:
        error = lost(fetch_local, str(path), 1000)
    finally:
        os.seteuid(user)
    assert (error.reason, str(error)) == ("permission_denied", f"may not be read: {path}")


def test_a_filesystem_tells_a_missing_object(tmp_path: pathlib.Path) -> None:
    error = lost(fetch_from_filesystem, str(tmp_path / "none.jpg"), 1000)
    assert (error.reason, error.transient) == ("not_found", False)


def test_a_filesystem_that_fails_on_what_exists_may_work_later(tmp_path: pathlib.Path) -> None:
    error = lost(fetch_from_filesystem, str(tmp_path), 1000)
    assert (error.reason, error.transient) == ("io_error", True)


@pytest.mark.parametrize("uri", ["ftp://h/a.jpg", "xyzzy://h/a.jpg"])
def test_a_scheme_that_nothing_reads_is_unsupported(uri: str) -> None:
    error = lost(fetch_from_filesystem, uri, 1000)
    assert (error.reason, error.transient) == ("unsupported_scheme", False)
    assert str(error) == f"nothing here reads {uri.partition(':')[0]}:// uris"


@pytest.mark.parametrize(("scheme", "extra"), [("hdfs", "hadoop"), ("s3", "aws"), ("azfs", "azure")])
def test_a_scheme_whose_package_is_missing_names_it(scheme: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """(2a) One such row ended the run, or was tried again and again."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    error = lost(fetch_from_filesystem, f"{scheme}://b/a.jpg", 10)
    assert (error.reason, error.transient) == ("unsupported_scheme", False)
    assert str(error) == f"nothing here reads {scheme}:// uris; run: pip install 'apache-beam[{extra}]'"


def test_a_filesystem_that_cannot_be_made_is_the_failure_of_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """(2a) Beam wraps what its filesystems raise."""

    def get_filesystem(uri: str) -> None:
        raise BeamIOError("Unable to get the Filesystem", {uri: ImportError("no hdfs")})

    monkeypatch.setattr("apache_beam.io.filesystems.FileSystems.get_filesystem", get_filesystem)
    error = lost(fetch_from_filesystem, "gs2://b/a.jpg", 10)
    assert (error.reason, error.transient) == ("unsupported_scheme", False)


def test_an_object_is_fetched_as_it_is_now(gcs: GcsServer) -> None:
    source = ImageUri(gcs.put("a b#1.jpg", b"bucket"), {"label": 1})
    found = FETCH(source)
    assert (found.source.uri, found.source.columns, found.data) == (source.uri, {"label": 1}, b"bucket")
    gcs.put("a b#1.jpg", b"newer")
    assert FETCH(source).data == b"newer"


def test_an_image_has_the_version_that_was_read_wherever_it_is(
    gcs: GcsServer, tmp_path: pathlib.Path, serve: Callable[..., str]
) -> None:
    path, date = tmp_path / "a.jpg", "Sun, 06 Nov 1994 08:49:37 GMT"
    path.write_bytes(b"disk")
    tagged = serve(lambda request: answer(request, 200, b"web", ETag='W/"1"', Last_Modified=date))
    dated = serve(lambda request: answer(request, 200, b"web", Last_Modified=date))
    silent = serve(lambda request: answer(request, 200, b"web"))
    expected = {
        str(path): f"mtime:{path.stat().st_mtime_ns},size:4",
        f"file://{path}": f"mtime:{path.stat().st_mtime_ns},size:4",
        (uri := gcs.put("a.jpg", b"bucket")): f"generation:{gcs.generation('a.jpg')}",
        f"{tagged}/a.jpg": 'etag:W/"1"',
        f"{dated}/a.jpg": f"last-modified:{date}",
        f"{silent}/a.jpg": "",
    }
    for known in ("", "generation:1", "listed:7"):
        found = {uri: FETCH(ImageUri(uri, {"n": 1}, known)).source for uri in expected}
        assert [source.columns for source in found.values()] == [{"n": 1}] * len(expected)
        versions = {uri: source.version for uri, source in found.items()}
        assert versions == (dict.fromkeys(expected, "listed:7") if known == "listed:7" else expected)
    gcs.put("a.jpg", b"newer")
    assert FETCH(ImageUri(uri)).source.version == f"generation:{gcs.generation('a.jpg')}" != expected[uri]


def test_a_filesystem_that_tells_no_version_leaves_that_of_its_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.fetch.images.fetch_from_filesystem", lambda *_: b"far")
    for version in ("", "mtime:1000000000,size:3"):
        assert FETCH(ImageUri("hdfs://h/a.jpg", {}, version)) == Image(ImageUri("hdfs://h/a.jpg", {}, version), b"far")


def test_what_still_has_its_known_version_leaves_unread(
    gcs: GcsServer, tmp_path: pathlib.Path, serve: Callable[..., str]
) -> None:
    tagged, dated = Resource(b"web", etag='"1"'), Resource(b"web", last_modified="Sun, 06 Nov 1994 08:49:37 GMT")
    (tmp_path / "a.jpg").write_bytes(b"disk")
    looked_at = os.stat(tmp_path / "a.jpg")
    same = {
        str(tmp_path / "a.jpg"): f"mtime:{looked_at.st_mtime_ns},size:4",
        gcs.put("a.jpg", b"bucket"): f"generation:{gcs.generation('a.jpg')}",
        f"{serve(tagged)}/a.jpg": 'etag:"1"',
        f"{serve(dated)}/a.jpg": f"last-modified:{dated.last_modified}",
    }
    # Other bytes of the same size and time: it was not read again.
    (tmp_path / "a.jpg").write_bytes(b"DISK")
    os.utime(tmp_path / "a.jpg", ns=(looked_at.st_atime_ns, looked_at.st_mtime_ns))
    sources = [ImageUri(uri, {"n": n}, "", known) for n, (uri, known) in enumerate(same.items())]
    listed = [dataclasses.replace(source, version="listed:7") for source in sources]
    changed = [ImageUri(uri, {}, "", "listed:7") for uri in same]
    with beam.Pipeline(FnApiRunner()) as p:
        fetch = FetchImages(allow_private_hosts=True)
        images, unchanged, unfetched = p | beam.Create([*sources, *listed, *changed]) | fetch
        expected = [*(dataclasses.replace(source, version=source.known_version) for source in sources), *listed]
        assert_that(unchanged, equal_to(expected), label="unchanged")
        assert_that(images | beam.Map(lambda image: image.source.uri), equal_to(list(same)), label="images")
        assert_that(unfetched, equal_to([]), label="failures")
    assert len(tagged.conditions) == len(dated.conditions) == 3


def test_a_file_that_changed_is_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    known = FETCH(ImageUri(str(path))).source.version
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    image = FETCH(ImageUri(str(path), known_version=known))
    assert (image.data, image.source.known_version) == (b"old", known)
    assert image.source.version == f"mtime:{path.stat().st_mtime_ns},size:3" != known


def test_what_is_no_file_any_more_is_lost_whatever_is_known(tmp_path: pathlib.Path) -> None:
    found = tmp_path.stat()
    known = f"mtime:{found.st_mtime_ns},size:{found.st_size}"
    assert lost(FETCH, ImageUri(str(tmp_path), known_version=known)).reason == "not_a_file"


def test_what_cannot_be_fetched_keeps_the_version_that_was_known(tmp_path: pathlib.Path) -> None:
    source = ImageUri(str(tmp_path / "none.jpg"), {}, "mtime:1,size:2")
    with beam.Pipeline(FnApiRunner()) as p:
        _, _, unfetched = p | beam.Create([source]) | FetchImages()
        assert_that(unfetched | beam.Map(lambda failure: failure.source), equal_to([source]))


@pytest.mark.parametrize(
    ("fault", "reason", "kind", "error", "attempts"),
    [
        (403, "permission_denied", "permanent", "HTTPError", 1),
        (418, "http_418", "permanent", "HTTPError", 1),
        (500, "http_500", "transient", "HTTPError", 3),
        ("reset", "connection", "transient", "ConnectionError", 3),
        ("cut", "corrupted_download", "transient", "ProtocolError", 3),
        ("corrupt", "corrupted_download", "transient", "ImageError", 3),
    ],
)
def test_an_object_that_cannot_be_downloaded_is_lost_with_what_its_download_says(
    gcs: GcsServer, fault: int | str, reason: str, kind: str, error: str, attempts: int
) -> None:
    uri = gcs.put("a.jpg", b"x" * 900)
    gcs.fail(fault, times=99)
    failure = Failure.of(ImageUri(uri), "fetch", lost(fetch_object, uri, DOWNLOAD))
    assert (failure.reason, failure.kind, failure.error, failure.attempts) == (reason, kind, error, attempts)


@pytest.mark.parametrize(
    ("uri", "reason", "error"),
    [
        ("gs://{bucket}/none.jpg", "not_found", "HTTPError"),
        ("gs://no-{bucket}/a.jpg", "bucket_not_found", "HTTPError"),
        ("gs://{bucket}/large.jpg", "too_many_bytes", "ImageError"),
        ("gs://{bucket}/..", "bad_uri", "ValueError"),
        ("gs://{bucket}/\udcfc.jpg", "bad_uri", "UnicodeEncodeError"),
    ],
)
def test_an_object_that_is_not_there_or_not_to_be_had_is_a_permanent_failure(
    gcs: GcsServer, uri: str, reason: str, error: str
) -> None:
    gcs.put("large.jpg", bytes(1001))
    source = ImageUri(uri.format(bucket=gcs.bucket))
    failure = Failure.of(source, "fetch", lost(FETCH, source))
    assert (failure.reason, failure.kind, failure.error, failure.attempts) == (reason, "permanent", error, 1)


def test_an_object_that_does_not_come_in_time_is_a_transient_failure(gcs: GcsServer) -> None:
    uri = gcs.put("a.jpg", b"x")
    gcs.fail("slow", times=9)
    failure = Failure.of(ImageUri(uri), "fetch", lost(fetch_object, uri, GcsDownload(1000, timeout=0.05)))
    assert (failure.reason, failure.kind) == ("timeout", "transient")
    assert failure.message == "no whole answer in 0.05 s"


def test_each_object_leaves_as_an_image_or_a_failure(gcs: GcsServer) -> None:
    data = {gcs.put(f"{i}.jpg", bytes([i]) * 500): bytes([i]) * 500 for i in range(40)}
    for fault in (503, 429, "reset", "cut", "short", "corrupt", "slow"):
        gcs.fail(fault, times=2)
    gone = ImageUri(f"gs://{gcs.bucket}/none.jpg", {"n": 1})
    with beam.Pipeline(FnApiRunner()) as p:
        images, _, unfetched = p | beam.Create([*map(ImageUri, data), gone]) | FetchImages(attempts=8)
        assert_that(
            images | beam.Map(lambda image: (image.source.uri, image.data)), equal_to([*data.items()]), label="i"
        )
        assert_that(unfetched | beam.Map(lambda f: (f.source, f.reason)), equal_to([(gone, "not_found")]), label="lost")


def test_a_uri_is_fetched_by_its_scheme(tmp_path: pathlib.Path, serve: Callable[..., str]) -> None:
    path = tmp_path / "ä #1%.jpg"
    path.write_bytes(b"disk")
    server = serve(lambda request: answer(request, 200, b"web"))
    quoted = f"file://{tmp_path}/%C3%A4%20%231%25.jpg"
    uris = {str(path): b"disk", quoted: b"disk", f"{server}/a.jpg": b"web", f"HTTP{server[4:]}": b"web"}
    for uri, data in uris.items():
        source = ImageUri(uri, {"label": 1})
        image = FETCH(source)
        assert (image.source.uri, image.source.columns, image.data) == (uri, {"label": 1}, data)
    assert lost(FETCH, ImageUri("xyzzy://h/a.jpg")).reason == "unsupported_scheme"


def test_a_local_path_with_a_scheme_inside_is_a_path(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "http:" / "a.jpg"
    path.parent.mkdir()
    path.write_bytes(b"disk")
    assert FETCH(ImageUri(f"{tmp_path}/http://a.jpg")).data == b"disk"


def test_a_name_that_is_no_utf8_is_fetched_by_its_file_uri(tmp_path: pathlib.Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xfc.jpg", "wb") as f:
        f.write(b"disk")
    assert FETCH(ImageUri(f"file://{tmp_path}/%FC.jpg")).data == b"disk"


def test_a_name_that_is_no_utf8_can_be_told_where_it_fails(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ImageError) as failure:
        FETCH(ImageUri(f"file://{tmp_path}/%FC.jpg"))
    assert str(failure.value).encode().endswith(rb"\udcfc.jpg")


@pytest.mark.parametrize("num_threads", [0, 4])
def test_beam_learns_what_is_counted_in_threads(photos: pathlib.Path, num_threads: int) -> None:
    pipeline = beam.Pipeline(FnApiRunner())
    uris = [ImageUri(str(path)) for path in photos.rglob("*.jpg")]
    _ = pipeline | beam.Create([*uris, ImageUri("/none.jpg")]) | FetchImages(num_threads=num_threads)
    result = pipeline.run()
    result.wait_until_finish()
    found = counted(result)
    assert (found["images-fetched"], found["images-failed"]) == (10, 1)
    assert found["fetch-busy-us"] > 0


@pytest.mark.parametrize("num_threads", [None, 0, 4])
def test_each_uri_leaves_as_an_image_or_a_failure(
    photos: pathlib.Path, serve: Callable[..., str], num_threads: int | None
) -> None:
    server = serve(lambda request: answer(request, 200 if request.path == "/a.jpg" else 404, b"web"))
    files = {str(path): path.read_bytes() for path in photos.rglob("*.jpg")}
    found = [ImageUri(uri, {"n": n}) for n, uri in enumerate([*files, f"{server}/a.jpg"])]
    gone = [ImageUri(f"{photos}/none.jpg", {"n": -1}), ImageUri(f"{server}/b.jpg")]
    with beam.Pipeline(FnApiRunner()) as p:
        fetch = FetchImages(num_threads=num_threads, allow_private_hosts=True)
        images, _, unfetched = p | beam.Create([*found, *gone]) | fetch
        read = images | beam.Map(lambda image: (image.source.uri, image.source.columns["n"], image.data))
        assert_that(read, equal_to([(s.uri, s.columns["n"], files.get(s.uri, b"web")) for s in found]), label="images")
        assert_that(
            unfetched | beam.Map(lambda f: (f.source, f.stage, f.reason, f.kind, f.attempts)),
            equal_to([(gone[0], "fetch", "not_found", "permanent", 1), (gone[1], "fetch", "http_404", "permanent", 1)]),
            label="failures",
        )


def test_the_limits_of_a_run_hold_for_each_fetch(photos: pathlib.Path, serve: Callable[..., str]) -> None:
    server = serve(lambda request: answer(request, 200, bytes(101)))
    reasons: list[tuple[Any, list[str]]] = [
        (FetchImages(max_image_bytes=100, allow_private_hosts=True), ["too_many_bytes", "too_many_bytes"]),
        (FetchImages(max_image_bytes=100), ["too_many_bytes", "forbidden_address"]),
    ]
    for fetch, expected in reasons:
        with beam.Pipeline(FnApiRunner()) as p:
            uris = [ImageUri(str(photos / "a" / "1.jpg")), ImageUri(f"{server}/a.jpg")]
            images, _, unfetched = p | beam.Create(uris) | fetch
            assert_that(images, equal_to([]), label="images")
            assert_that(unfetched | beam.Map(lambda f: f.reason), equal_to(expected), label="reasons")


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(ValueError, match="max_image_bytes must be at least 1, is 0"):
        FetchImages(max_image_bytes=0)


def test_only_what_is_below_an_allowed_prefix_is_fetched(
    photos: pathlib.Path, tmp_path: pathlib.Path, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """(4f): the list of a stranger would be answered with what else the account can read."""
    server = serve(lambda request: answer(request, 200, b"web"))
    (photos / "a" / "out.jpg").symlink_to(photos / "b" / "0.jpg")
    (photos / "a" / "in.jpg").symlink_to("1.jpg")
    allowed = [f"{photos}/a/1.jpg", f"file://{photos}/a/in.jpg", f"{server}/pub/1.jpg"]
    forbidden = [f"{photos}/a/out.jpg", f"{photos}/b/0.jpg", f"{server}/1.jpg", "gs://bucket/1.jpg", "/etc/passwd"]
    monkeypatch.chdir(tmp_path)
    fetch = FetchImages(allow_private_hosts=True, allowed_prefixes=("photos/a", f"{server}/pub/"))
    monkeypatch.chdir("/")
    with beam.Pipeline(FnApiRunner()) as p:
        images, _, unfetched = p | beam.Create([ImageUri(uri) for uri in [*allowed, *forbidden]]) | fetch
        assert_that(images | beam.Map(lambda image: image.source.uri), equal_to(allowed), label="images")
        found = unfetched | beam.Map(lambda failure: (failure.source.uri, failure.reason, failure.kind))
        expected = [(uri, "forbidden_prefix", "permanent") for uri in forbidden]
        assert_that(found, equal_to(expected), label="failures")


def test_a_prefix_that_is_no_uri_is_told() -> None:
    with pytest.raises(UsageError, match="no allowed prefix: "):
        FetchImages(allowed_prefixes=("http://h:99999/",))
