"""Dialling hosts that a stranger names: every address is checked, and all of them share one deadline."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import answer
from transforms.core.errors import ImageError
from transforms.fetch import connections as module
from transforms.fetch.connections import connections, resolve
from transforms.fetch.http import HttpFetch

GETADDRINFO = socket.getaddrinfo
CREATE_CONNECTION = socket.create_connection


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A resolver that knows these names, and literal addresses."""
    known: dict[str, list[str]] = {}

    def look_up(host: str, port: int, *arguments: Any, **keywords: Any) -> Any:
        return [found for one in known.get(host, [host]) for found in GETADDRINFO(one, port, *arguments, **keywords)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """The addresses that are dialled, each with its timeout; those of 8.8.8.0/24 never answer."""
    found: list[tuple[str, float]] = []

    def dial(place: tuple[str, int], timeout: float) -> socket.socket:
        found.append((place[0], timeout))
        if place[0].startswith("8.8.8."):
            threading.Event().wait(timeout)
            raise TimeoutError("timed out")
        return CREATE_CONNECTION(place, timeout)

    monkeypatch.setattr(socket, "create_connection", dial)
    return found


def lost(uri: str, fetch: HttpFetch) -> ImageError:
    with pytest.raises(ImageError) as error:
        fetch(uri)
    return error.value


@pytest.mark.parametrize(
    "addresses", [["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["2606:4700::1", "8.8.8.8", "::1"]]
)
def test_a_host_is_refused_if_any_of_its_addresses_is_not_public(
    addresses: list[str], names: dict[str, list[str]], dialled: list[tuple[str, float]]
) -> None:
    """(5a): a host whose first address is public and dead would lead to a service inside."""
    names["h.example"] = addresses
    error = lost("http://h.example/a.jpg", HttpFetch(timeout=5.0))
    assert (error.reason, error.attempts, dialled) == ("forbidden_address", 1, [])


def test_the_next_address_is_dialled_where_one_does_not_answer(
    names: dict[str, list[str]], dialled: list[tuple[str, float]], serve: Callable[..., str]
) -> None:
    """(4c): one dead address would use up the time of the others."""
    port = serve(lambda request: answer(request, 200, b"there")).rpartition(":")[2]
    names["h.example"] = ["8.8.8.1", "8.8.8.2", "127.0.0.1"]
    fetch = HttpFetch(timeout=1.2, allow_private_hosts=True)
    assert fetch(f"http://h.example:{port}/a.jpg").data == b"there"
    assert [address for address, _ in dialled] == names["h.example"]


def test_all_addresses_share_one_deadline(names: dict[str, list[str]], dialled: list[tuple[str, float]]) -> None:
    """(4c): a host of many addresses would hold a thread for many timeouts."""
    names["h.example"] = [f"8.8.8.{i}" for i in range(1, 31)]
    error = lost("http://h.example/a.jpg", HttpFetch(timeout=0.3))
    assert (error.reason, error.transient) == ("timeout", True)
    assert sum(timeout for _, timeout in dialled) <= 0.3
    assert len(dialled) == len({address for address, _ in dialled})


def test_a_resolver_that_does_not_answer_is_left_when_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """(4c): a name whose servers are silent would hold a thread for as long as the resolver likes."""
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait())
    error = lost("http://h.example/a.jpg", HttpFetch(timeout=0.2))
    over.set()
    assert (error.reason, error.transient, error.attempts) == ("timeout", True, 1)


def test_a_name_that_does_not_exist_may_exist_later() -> None:
    with pytest.raises(socket.gaierror):
        resolve("h.invalid", 80, 20.0)
    error = lost("http://h.invalid/", HttpFetch(timeout=20.0, attempts=1))
    assert (error.reason, error.transient) == ("connection", True)
    assert "cannot resolve h.invalid" in str(error)


@pytest.fixture
def silent_handshake() -> Iterator[int]:
    """A port where a TLS handshake trickles in, a byte at a time, and never ends."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"\x16\x03\x03\x40\x00")
                while not over.wait(0.02):
                    try:
                        peer.sendall(b"\0")
                    except OSError:
                        return

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        over.set()
        thread.join()


def test_a_handshake_that_trickles_is_left_when_time_is_up(silent_handshake: int) -> None:
    """(4c): each byte would restart the socket's own timeout."""
    error = lost(f"https://127.0.0.1:{silent_handshake}/", HttpFetch(timeout=0.3, allow_private_hosts=True))
    assert (error.reason, error.transient) == ("timeout", True)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_is_ignored_is_named_once_and_not_shown(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """(4h): a person would wait for fetches that no firewall lets out."""
    for other in (*module.PROXIES, *map(str.lower, module.PROXIES)):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "http://me:pw@proxy:3128")
    module._connections.cache_clear()
    with caplog.at_level(logging.WARNING):
        threads = [threading.Thread(target=connections, args=(False,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    module._connections.cache_clear()
    expected = f"{name.upper()} ignored: images are fetched directly, so that each address can be checked"
    assert [record.getMessage() for record in caplog.records] == [expected]


def test_without_a_proxy_nothing_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    for name in module.PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    module._connections.cache_clear()
    with caplog.at_level(logging.WARNING):
        connections(False)
    assert caplog.records == []
