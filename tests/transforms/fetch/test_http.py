"""Http fetches keep their limits against real servers: time, bytes, redirects, attempts, addresses."""

import base64
import contextlib
import dataclasses
import datetime
import gzip
import http.server
import pathlib
import random
import re
import socket
import ssl
import struct
import threading
import urllib.parse
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Handler, answer
from tests.servers.web import Resource
from transforms.core.errors import ImageError
from transforms.core.image_versions import UnchangedError
from transforms.core.retries import TRANSIENT_STATUSES
from transforms.fetch.connections import USER_AGENT
from transforms.fetch.http import MAX_REDIRECTS, HttpFetch
from transforms.fetch.prefixes import AllowedPrefixes
from transforms.fetch.public_hosts import is_public

Serve = Callable[..., str]
Request = http.server.BaseHTTPRequestHandler
FETCH = HttpFetch(max_bytes=100_000, timeout=20.0, allow_private_hosts=True, pause=0.001)
# For servers that never end: the fetch has to.
HURRIED = dataclasses.replace(FETCH, timeout=0.3)
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


def lost(uri: str, fetch: HttpFetch = FETCH) -> ImageError:
    with pytest.raises(ImageError) as error:
        fetch(uri)
    assert "\n" not in str(error.value)
    return error.value


def body_of(uri: str, fetch: HttpFetch = FETCH) -> bytes:
    return fetch(uri).data


def status(code: int, body: bytes = b"", **headers: str) -> Handler:
    return lambda request: answer(request, code, body, **headers)


def in_turn(*handlers: Handler) -> tuple[Handler, list[str]]:
    """Answer the n-th request by the n-th handler, further ones by the last; give the paths that were asked for."""
    paths: list[str] = []

    def handler(request: Request) -> None:
        paths.append(request.path)
        handlers[min(len(paths), len(handlers)) - 1](request)

    return handler, paths


def sends(raw: bytes) -> Handler:
    def handler(request: Request) -> None:
        request.wfile.write(raw)
        request.close_connection = True

    return handler


def reset(request: Request) -> None:
    """Break the connection with a TCP reset."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.close_connection = True
    request.connection.close()


hang_up = sends(OK + b"Content-Length: 1000\r\n\r\nhalf")


@pytest.fixture
def trickle() -> Iterator[Callable[[bytes, bytes], Handler]]:
    """Send a start, then a drop again and again, so that no single read waits for long; ends with the test."""
    over = threading.Event()

    def handler_of(start: bytes, drop: bytes) -> Handler:
        def handler(request: Request) -> None:
            request.close_connection = True
            request.wfile.write(start)
            while not over.wait(0.02):
                try:
                    request.wfile.write(drop)
                except OSError:
                    return

        return handler

    yield handler_of
    over.set()


def test_the_body_is_returned_as_it_is(serve: Serve) -> None:
    body = bytes(range(256)) * 300
    handler, _ = in_turn(status(200, body), status(200), sends(OK + b"\r\nto the end"))
    uri = serve(handler)
    assert [body_of(uri) for _ in range(3)] == [body, b"", b"to the end"]


def test_a_request_says_who_asks_and_goes_by_no_proxy(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    asked: list[tuple[str, str | None]] = []

    def handler(request: Request) -> None:
        asked.append((request.path, request.headers["User-Agent"]))
        answer(request, 200)

    FETCH(serve(handler) + "/a%20b/ä.jpg?x=1&y=%2F#fragment")
    assert asked == [("/a%20b/%C3%A4.jpg?x=1&y=%2F", USER_AGENT)]


def test_a_chunked_body_is_put_together(serve: Serve) -> None:
    chunks = b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert body_of(serve(sends(OK + chunks))) == b"abcde"


def test_max_bytes_is_the_most_that_is_taken(serve: Serve) -> None:
    handler, _ = in_turn(status(200, bytes(1000)), status(200, bytes(1001)))
    uri, fetch = serve(handler), dataclasses.replace(FETCH, max_bytes=1000)
    assert len(body_of(uri, fetch)) == 1000
    error = lost(uri, fetch)
    assert (error.reason, str(error), error.transient) == ("too_many_bytes", "more than 1000 bytes", False)


def test_a_body_without_end_is_cut_at_max_bytes(serve: Serve, trickle: Callable[[bytes, bytes], Handler]) -> None:
    assert lost(serve(trickle(OK + b"\r\n", bytes(70_000)))).reason == "too_many_bytes"


def test_a_compressed_body_is_bounded_as_it_expands(serve: Serve) -> None:
    small, bomb = (gzip.compress(bytes(n)) for n in (1000, 20_000_000))
    assert len(bomb) < FETCH.max_bytes
    handler, _ = in_turn(*(status(200, data, Content_Encoding="gzip") for data in (small, bomb)))
    uri = serve(handler)
    assert body_of(uri) == bytes(1000)
    assert lost(uri).reason == "too_many_bytes"


def test_a_final_answer_is_not_asked_for_again(serve: Serve) -> None:
    codes = [201, 204, 304, 400, 401, 403, 404, 410, 451, 501]
    handler, paths = in_turn(*map(status, codes))
    uri = serve(handler)
    for code in codes:
        error = lost(uri)
        assert (error.reason, error.transient, error.attempts) == (f"http_{code}", False, 1)
        assert str(error).startswith(f"the server answered {code}")
    assert len(paths) == len(codes)


@pytest.mark.parametrize(
    ("failing", "reason", "says"),
    [
        *[(status(code), f"http_{code}", f"the server answered {code}") for code in (408, 429, 500, 502, 503, 504)],
        (reset, "connection", "reset"),
        (hang_up, "connection", "IncompleteRead"),
    ],
)
def test_a_passing_failure_is_tried_again_and_at_last_called_transient(
    serve: Serve, failing: Handler, reason: str, says: str
) -> None:
    handler, paths = in_turn(failing, failing, status(200, b"third"), failing)
    uri = serve(handler)
    assert body_of(uri + "/a") == b"third"
    assert paths == ["/a"] * 3
    error = lost(uri + "/b", dataclasses.replace(FETCH, attempts=2))
    assert (error.reason, error.transient, error.attempts, paths[3:]) == (reason, True, 2, ["/b"] * 2)
    assert says in str(error)
    assert {408, 429, 500, 502, 503, 504} <= TRANSIENT_STATUSES


def test_retries_and_slow_hosts_are_logged_without_secrets(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "transforms")
    uri = serve(in_turn(status(503), status(200, b"x"))[0]) + "/a.jpg?sig="
    assert body_of(uri + "secret") == b"x"
    assert caplog.messages == [
        f"attempt 1 failed, another follows in 0.0 s: {uri}***: the server answered 503 Service Unavailable"
    ]
    caplog.clear()
    monkeypatch.setattr("transforms.fetch.http.SLOW", 0.0)
    body_of(uri + "secret")
    (message,) = caplog.messages
    assert re.fullmatch(rf"slow host, \d+\.\d s for an image: {re.escape(uri)}\*\*\*", message)


def test_pauses_double_until_the_next_would_outlast_the_timeout(serve: Serve) -> None:
    handler, paths = in_turn(status(503))
    error = lost(serve(handler), dataclasses.replace(FETCH, attempts=99, timeout=0.25))
    # After 7 pauses, 127 ms are gone; the 8th would be of 128 ms.
    assert error.transient
    assert len(paths) == error.attempts <= 8


def test_retry_after_is_heeded_where_it_makes_sense(serve: Serve) -> None:
    handler, _ = in_turn(status(429, Retry_After="20"))
    error = lost(serve(handler), dataclasses.replace(FETCH, timeout=10.0))
    assert (error.reason, error.attempts) == ("http_429", 1)
    odd = ["0", "-5", "soon", "", "Wed, 21 Oct 2015 07:28:00 GMT", "nan"]
    handler, paths = in_turn(*(status(503, Retry_After=value) for value in odd), status(200, b"last"))
    assert body_of(serve(handler), dataclasses.replace(FETCH, attempts=9)) == b"last"
    assert len(paths) == 7


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"", b""),
        (b"", b"H"),
        (OK, b"X-A: b\r\n"),
        (OK + b"\r\n", b"x"),
        (OK + b"Content-Length: 90000\r\n\r\n", b"x"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["nothing", "status", "headers", "body", "body of a length", "chunks"],
)
def test_a_server_that_trickles_is_left_when_time_is_up(
    serve: Serve, trickle: Callable[[bytes, bytes], Handler], start: bytes, drop: bytes
) -> None:
    error = lost(serve(trickle(start, drop)), HURRIED)
    assert (error.reason, error.transient, str(error)) == ("timeout", True, "no whole answer in 0.3 s")


def test_redirects_are_followed_also_to_relative_places(serve: Serve) -> None:
    elsewhere = serve(status(200, b"there"))
    codes = {301: "../b?c", 302: "d", 303: "/e", 307: "?f", 308: elsewhere}
    handler, paths = in_turn(*(status(code, Location=place) for code, place in codes.items()))
    assert body_of(serve(handler) + "/x/a") == b"there"
    assert paths == ["/x/a", "/b?c", "/d", "/e", "/e?f"]
    assert len(paths) == MAX_REDIRECTS


def test_redirects_are_bounded(serve: Serve) -> None:
    handler, paths = in_turn(status(302, Location="/again"))
    error = lost(serve(handler))
    assert (error.reason, error.transient, len(paths)) == ("too_many_redirects", False, MAX_REDIRECTS + 1)


def test_a_redirect_to_what_is_no_http_uri_is_refused(serve: Serve) -> None:
    places = ["http://[", "ftp://h/a.jpg", "file:///etc/passwd", "data:,x", "http://h:99999/"]
    handler, _ = in_turn(*(status(302, Location=place) for place in places))
    uri = serve(handler)
    assert [lost(uri).reason for _ in places] == ["bad_uri"] * len(places)


def test_private_addresses_are_refused_before_they_are_dialled(serve: Serve) -> None:
    handler, paths = in_turn(status(200, b"secret"))
    port = serve(handler).rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "2130706433", "0x7f.1", "169.254.169.254"):
        error = lost(f"http://{host}:{port}/", dataclasses.replace(FETCH, allow_private_hosts=False))
        assert (error.reason, error.transient, error.attempts, paths) == ("forbidden_address", False, 1, []), host
        assert "is not a public address" in str(error)


def test_a_redirect_to_a_private_address_is_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    # No test has a server on the internet: one loopback address stands for a public one, all others are what they are.
    monkeypatch.setattr(
        "transforms.fetch.connections.is_public", lambda address: address == "127.0.0.1" or is_public(address)
    )
    handler, paths = in_turn(status(200, b"secret"))
    inside = serve(handler, "127.0.0.2")
    public, _ = in_turn(status(200, b"public"), status(302, Location=inside))
    uri, fetch = serve(public), dataclasses.replace(FETCH, allow_private_hosts=False)
    assert body_of(uri, fetch) == b"public"
    error = lost(uri, fetch)
    assert (error.reason, error.transient, paths) == ("forbidden_address", False, [])
    assert body_of(uri) == b"secret"


@pytest.mark.parametrize(
    "uri", ["http://", "http://[::1", "http://a b/", "http://h:99999/", "http://%zz/", "http://h\n/"]
)
def test_a_uri_that_is_none_is_not_asked_for(uri: str) -> None:
    error = lost(uri)
    assert (error.reason, error.transient, error.attempts) == ("bad_uri", False, 1)


def test_a_closed_port_is_a_connection_that_may_be_open_later() -> None:
    with socket.socket() as bound:
        # Bound and not listening: nobody else takes the port while the test runs.
        bound.bind(("127.0.0.1", 0))
        error = lost(f"http://127.0.0.1:{bound.getsockname()[1]}/")
    assert (error.reason, error.transient, error.attempts) == ("connection", True, FETCH.attempts)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no http at all\r\n\r\n",
        OK + b"X: y\r\n" * 200 + b"\r\n",
        OK + b"Content-Length: 1,2\r\n\r\nx",
        OK + b"Content-Encoding: gzip\r\n\r\nno gzip",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nx",
    ],
)
def test_an_answer_that_is_no_http_loses_one_image_and_not_the_run(serve: Serve, raw: bytes) -> None:
    error = lost(serve(sends(raw)))
    assert (error.reason, error.transient, error.attempts) == ("connection", True, FETCH.attempts)


def test_a_length_that_is_no_number_is_ignored(serve: Serve) -> None:
    lengths = [b"9" * 5000, b"\xb2", b"-5", b"many"]
    handler, _ = in_turn(*(sends(OK + b"Content-Length: " + length + b"\r\n\r\nx") for length in lengths))
    uri = serve(handler)
    assert [body_of(uri) for _ in lengths] == [b"x"] * len(lengths)


def test_max_bytes_is_exact_for_a_body_of_any_form(serve: Serve) -> None:
    """(5f): a limit that is looser than it says takes memory that nobody planned for."""
    fetch = dataclasses.replace(FETCH, max_bytes=1000)
    # Bytes that gzip cannot make smaller: the encoded body is over the limit where the image is at it.
    bodies = [random.Random(size).randbytes(size) for size in (1000, 1001)]
    assert len(gzip.compress(bodies[0])) > 1000
    forms = {
        "with a length": lambda body: status(200, body),
        "to the end": lambda body: sends(OK + b"\r\n" + body),
        "in chunks": lambda body: sends(
            OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        ),
        "gzip": lambda body: status(200, gzip.compress(body), Content_Encoding="gzip"),
        "gzip to the end": lambda body: sends(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(body)),
    }
    for form, handler_of in forms.items():
        uri = serve(in_turn(*map(handler_of, bodies))[0])
        assert body_of(uri, fetch) == bodies[0], form
        assert lost(uri, fetch).reason == "too_many_bytes", form


def asked_by(serve: Serve, host: str = "127.0.0.1", location: str = "") -> tuple[str, list[str | None]]:
    """Serve redirects to a place, or an image; give who asked, by their credentials."""
    asked: list[str | None] = []

    def handler(request: Request) -> None:
        asked.append(request.headers["Authorization"])
        if location and not request.path.startswith("/end"):
            answer(request, 302, Location=location)
        else:
            answer(request, 200)

    return serve(handler, host), asked


def basic(user: str) -> str:
    return f"Basic {base64.b64encode(user.encode()).decode()}"


def test_user_and_password_are_sent_to_the_uris_own_host_alone(serve: Serve) -> None:
    """(4h): images behind a password would be lost, or the password given to whoever a server redirects to."""
    elsewhere, strangers = asked_by(serve)
    same_port_other_host = elsewhere.replace("127.0.0.1", "localhost")
    for place in (f"{elsewhere}/end", f"{same_port_other_host}/end", f"{elsewhere.replace('//', '//me:pw@')}/end"):
        uri, asked = asked_by(serve, location=place)
        FETCH(uri.replace("//", "//me:pw@"))
        assert asked == [basic("me:pw")]
    assert strangers == [None] * 3
    uri, asked = asked_by(serve, location="/end")
    FETCH(uri.replace("//", "//me:p%40s%3as@"))
    FETCH(uri.replace("//", "//j%C3%BCrgen:ü@"))
    FETCH(uri.replace("//", "//token@"))
    FETCH(uri)
    sent = [basic("me:p@s:s"), basic("jürgen:ü"), basic("token:"), None]
    assert asked == [credentials for each in sent for credentials in (each, each)]


def test_a_location_in_utf8_is_followed_as_such(serve: Serve) -> None:
    """(4h): what a server names in UTF-8 would not be found under its name in Latin-1."""
    names = ["/ä", "/图 Å", "/\xe4"]
    raw = [names[0].encode(), names[1].replace(" ", "%20").encode(), names[2].encode("latin-1")]
    moved = [sends(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + place + b"\r\n\r\n") for place in raw]
    handler, paths = in_turn(*(each for place in moved for each in (place, status(200))))
    uri = serve(handler)
    for _ in names:
        FETCH(uri)
    assert [urllib.parse.unquote(path) for path in paths[1::2]] == names


@pytest.fixture
def untrusted(tmp_path: pathlib.Path) -> Iterator[tuple[str, list[str]]]:
    """A server whose certificate nobody trusts, and the connections that were made to it."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    today = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, today, today + datetime.timedelta(days=1))
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    pem += key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "server.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    made_to: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                made_to.append("connection")
                with contextlib.suppress(OSError), context.wrap_socket(peer, server_side=True) as secure:
                    secure.recv(1)

        threading.Thread(target=accept, daemon=True).start()
        yield f"https://127.0.0.1:{server.getsockname()[1]}", made_to
        server.shutdown(socket.SHUT_RDWR)


def test_a_certificate_that_is_not_valid_is_not_tried_again(untrusted: tuple[str, list[str]]) -> None:
    """(4h): four attempts, with pauses, at what no attempt changes."""
    uri, made_to = untrusted
    error = lost(f"{uri}/a.jpg")
    assert (error.reason, error.transient, error.attempts) == ("bad_certificate", False, 1)
    assert "certificate verify failed" in str(error)
    assert made_to == ["connection"]


def test_a_redirect_is_followed_only_to_where_fetching_is_allowed(serve: Serve) -> None:
    """(4f): an allowed server would lead to any other."""
    elsewhere, strangers = asked_by(serve)
    uri, _ = asked_by(serve, location=f"{elsewhere}/end")
    inside, asked = asked_by(serve, location="/end/../end")
    fetch = dataclasses.replace(FETCH, allowed=AllowedPrefixes((uri, f"{inside}/a", f"{inside}/end")))
    assert body_of(f"{inside}/a/b", fetch) == b""
    error = lost(f"{uri}/a.jpg", fetch)
    assert (error.reason, error.transient, strangers) == ("forbidden_prefix", False, [])
    assert lost(f"{inside}/c", fetch).reason == "forbidden_prefix"
    assert len(asked) == 2


DATES = ["Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 07 Nov 1994 08:49:37 GMT"]


def version_if_unchanged(uri: str, known: str) -> str:
    with pytest.raises(UnchangedError) as unchanged:
        FETCH(uri, known)
    return unchanged.value.version


@pytest.mark.parametrize(
    ("old", "new", "version"),
    [
        ({"etag": '"1"', "last_modified": DATES[0]}, {"etag": '"2"', "last_modified": DATES[0]}, 'etag:"{}"'),
        ({"etag": 'W/"1"'}, {"etag": 'W/"2"'}, 'etag:W/"{}"'),
        ({"last_modified": DATES[0]}, {"last_modified": DATES[1]}, ""),
    ],
)
def test_a_body_is_sent_only_if_it_is_of_another_version(
    serve: Serve, old: dict[str, str], new: dict[str, str], version: str
) -> None:
    versions = [version.format(n) or f"last-modified:{DATES[n - 1]}" for n in (1, 2)]
    resource = Resource(b"old", **old)
    uri = serve(resource)
    assert FETCH(uri) == (b"old", versions[0])
    assert version_if_unchanged(uri, versions[0]) == versions[0]
    vars(resource).update(body=b"new", **new)
    assert FETCH(uri, versions[0]) == (b"new", versions[1])
    assert [len(conditions) for conditions in resource.conditions] == [0, 1, 1]


def test_answers_without_a_body_leave_the_connection_open(serve: Serve) -> None:
    resource = Resource(b"x", etag='"1"')
    uri = serve(resource)
    for _ in range(3):
        version_if_unchanged(uri, 'etag:"1"')
    assert FETCH(uri).data == b"x"
    assert len(set(resource.peers)) == 1


def test_a_server_that_ignores_conditions_is_asked_once_all_the_same(serve: Serve) -> None:
    handler, paths = in_turn(status(200, b"x", ETag="no-tag"))
    assert version_if_unchanged(serve(handler), "etag:no-tag") == "etag:no-tag"
    assert FETCH(serve(handler), 'etag:"1"') == (b"x", "etag:no-tag")
    assert len(paths) == 2


def test_a_version_that_servers_do_not_tell_asks_for_nothing(serve: Serve) -> None:
    handler, _ = in_turn(status(200, b"x"), status(304))
    uri = serve(handler)
    assert FETCH(uri, "listed:7") == (b"x", "")
    with pytest.raises(ImageError, match="the server answered 304"):
        FETCH(uri, "listed:7")


def test_a_condition_goes_with_redirects_and_further_attempts(serve: Serve) -> None:
    resource = Resource(b"x", etag='"1"')
    end = serve(in_turn(status(503), reset, resource)[0])
    handler, paths = in_turn(status(302, Location=end))
    assert version_if_unchanged(serve(handler), 'etag:"1"') == 'etag:"1"'
    assert resource.conditions == [{"If-None-Match": '"1"'}]
    assert len(paths) == 3


def test_an_unchanged_answer_is_held_to_the_limits_of_others(
    serve: Serve, trickle: Callable[[bytes, bytes], Handler]
) -> None:
    start = b"HTTP/1.1 304 Not Modified\r\n"
    with pytest.raises(ImageError) as error:
        HURRIED(serve(trickle(start, b"X-A: b\r\n")), 'etag:"1"')
    assert error.value.reason == "timeout"
    # The header says how a body would have come, and none comes.
    chunked = serve(sends(start + b"Transfer-Encoding: chunked\r\n\r\n"))
    assert version_if_unchanged(chunked, 'etag:"1"') == 'etag:"1"'
    with pytest.raises(ImageError) as error:
        HttpFetch()(chunked, 'etag:"1"')
    assert error.value.reason == "forbidden_address"
