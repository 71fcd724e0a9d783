"""Connections to hosts that a stranger names: every address is checked when it is dialled, and every wait has an end.

An address is checked at each hop, so that a name cannot resolve to another one in between. Proxies are not used, since
it would be the proxy that dials.
"""

import contextlib
import functools
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from transforms.fetch.public_hosts import is_public

LOG = logging.getLogger(__name__)

USER_AGENT = "beam-image-embeddings"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class ForbiddenAddressError(Exception):
    """The host has an address that is not public."""


class _PublicAddresses:
    """Dial the first address of the host that answers, but none unless all are public."""

    allow_private = False
    _line: socket.socket | None = None

    def connect(self: Any) -> None:
        # A handshake can trickle in, too.
        with cut_at(time.monotonic() + self.timeout, lambda: self._line.shutdown(socket.SHUT_RDWR)):
            try:
                super().connect()  # type: ignore[misc]
            finally:
                if self._line:
                    self._line.close()

    def _new_conn(self: Any) -> socket.socket:
        deadline = time.monotonic() + self.timeout
        host, error = self._dns_host.strip("[]"), OSError("the name resolves to no address")
        try:
            addresses = resolve(host, self.port, self.timeout)
        except TimeoutError:
            raise
        except (OSError, UnicodeError) as e:
            raise NewConnectionError(self, f"cannot resolve {host}: {e}") from e
        for address in addresses:
            if not self.allow_private and not is_public(address):
                raise ForbiddenAddressError(f"{host} is {address}, which is not a public address")
        for remaining, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            # All together have until the deadline, and none can use up the time of those after it.
            share = (deadline - time.monotonic()) / remaining
            if share <= 0:
                break
            try:
                found = socket.create_connection((address, self.port), share)
            except OSError as e:
                error = e
                continue
            found.settimeout(max(deadline - time.monotonic(), 0.001))
            # TLS takes the socket itself away.
            self._line = found.dup()
            return found
        raise NewConnectionError(self, f"cannot connect to {host}: {error}") from error

    def getresponse(self: Any) -> Any:
        deadline = time.monotonic() + (self.sock.gettimeout() or 0.0)
        with cut_at(deadline, lambda: self.sock.shutdown(socket.SHUT_RD)):
            return super().getresponse()  # type: ignore[misc]


class _Http(_PublicAddresses, HTTPConnection):
    pass


class _Https(_PublicAddresses, HTTPSConnection):
    pass


class _AnyHttp(_Http):
    allow_private = True


class _AnyHttps(_Https):
    allow_private = True


_lock = threading.Lock()


def connections(allow_private: bool) -> urllib3.PoolManager:
    """Return this process's connections; log once if the environment names proxies, which they do not use."""
    with _lock:
        return _connections(allow_private)


@functools.cache
def _connections(allow_private: bool) -> urllib3.PoolManager:
    named = [name for name in PROXIES if os.environ.get(name) or os.environ.get(name.lower())]
    if named:
        LOG.warning("%s ignored: images are fetched directly, so that each address can be checked", ", ".join(named))
    http: Any = type("Pool", (HTTPConnectionPool,), {"ConnectionCls": _AnyHttp if allow_private else _Http})
    https: Any = type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": _AnyHttps if allow_private else _Https})
    pool = urllib3.PoolManager(num_pools=64, maxsize=32, headers={"User-Agent": USER_AGENT})
    pool.pool_classes_by_scheme = {"http": http, "https": https}
    return pool


def resolve(host: str, port: int, timeout: float) -> list[str]:
    """Return the addresses of a host, each once, in the resolver's order.

    Raises:
      TimeoutError: the resolver has not answered within `timeout` seconds; its own limit can be minutes.
      OSError: it knows no such host.
    """
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as e:
            answers.put(e)

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout)
    except queue.Empty:
        raise TimeoutError(f"{host} was not resolved in {timeout:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in answer))


@contextlib.contextmanager
def cut_at(deadline: float, shut: Callable[[], Any]) -> Iterator[None]:
    """Shut a socket at the deadline: its own timeout restarts with each byte that trickles in."""

    def quietly() -> None:
        with contextlib.suppress(Exception):
            shut()

    timer = threading.Timer(max(deadline - time.monotonic(), 0.0), quietly)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
