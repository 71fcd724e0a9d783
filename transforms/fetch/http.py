"""Fetch bytes over http and https from untrusted servers: the owner of urllib3.

Every limit covers the whole fetch: time, bytes as they stream in, redirects. An address is checked when it is dialled,
at each hop, so that a name cannot resolve to another address in between.
"""

import contextlib
import dataclasses
import functools
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, LocationValueError, NewConnectionError

from transforms.core import retries
from transforms.core.errors import ImageError, one_line
from transforms.fetch.public_hosts import is_public

MAX_REDIRECTS = 5
USER_AGENT = "beam-image-embeddings"


class ForbiddenAddressError(Exception):
    """The host has an address that is not public."""


class _PublicAddresses:
    """Dial the first address of the host that answers, but none unless all are public."""

    allow_private = False

    def _new_conn(self: Any) -> socket.socket:
        host, error = self._dns_host.strip("[]"), OSError("the name resolves to no address")
        try:
            found = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as e:
            raise NewConnectionError(self, f"cannot resolve {host}: {e}") from e
        addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
        for address in addresses:
            if not self.allow_private and not is_public(address):
                raise ForbiddenAddressError(f"{host} is {address}, which is not a public address")
        for address in addresses:
            try:
                return socket.create_connection((address, self.port), self.timeout)
            except OSError as e:
                error = e
        raise NewConnectionError(self, f"cannot connect to {host}: {error}") from error

    def getresponse(self: Any) -> Any:
        deadline = time.monotonic() + (self.sock.gettimeout() or 0.0)
        with _cut_at(deadline, lambda: self.sock.shutdown(socket.SHUT_RD)):
            return super().getresponse()  # type: ignore[misc]


class _Http(_PublicAddresses, HTTPConnection):
    pass


class _Https(_PublicAddresses, HTTPSConnection):
    pass


class _AnyHttp(_Http):
    allow_private = True


class _AnyHttps(_Https):
    allow_private = True


@functools.cache
def _pool(allow_private: bool) -> urllib3.PoolManager:
    """Return this process's connections. Proxies from the environment are not used: they would hide the address."""
    http: Any = type("Pool", (HTTPConnectionPool,), {"ConnectionCls": _AnyHttp if allow_private else _Http})
    https: Any = type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": _AnyHttps if allow_private else _Https})
    pool = urllib3.PoolManager(num_pools=64, maxsize=32, headers={"User-Agent": USER_AGENT})
    pool.pool_classes_by_scheme = {"http": http, "https": https}
    return pool


@dataclasses.dataclass(frozen=True)
class HttpFetch:
    """Fetch the body of a uri within limits: str -> bytes.

    Args:
      max_bytes: maximum size of the decoded body.
      timeout: seconds for the whole fetch, including retries and redirects.
      attempts: maximum number; transient statuses and broken connections are tried again.
      allow_private_hosts: also dial addresses that are not public.
      pause: seconds before the second attempt, doubled before each further one; Retry-After is heeded up to 30 s.
    """

    max_bytes: int = 64 << 20
    timeout: float = retries.TIMEOUT
    attempts: int = retries.ATTEMPTS
    allow_private_hosts: bool = False
    pause: float = retries.PAUSE

    def __call__(self, uri: str) -> bytes:
        """Return the body; raise ImageError."""
        deadline = time.monotonic() + self.timeout
        for attempt in range(1, self.attempts + 1):
            try:
                return self._attempt(uri, deadline, attempt)
            except _RetryLaterError as e:
                pause = min(max(e.after, self.pause * 2 ** (attempt - 1)), retries.LONGEST_PAUSE)
                if attempt == self.attempts or time.monotonic() + pause >= deadline:
                    raise e.failure from e.__cause__
                time.sleep(pause)
        raise AssertionError("at least one attempt returns or raises")

    def _attempt(self, uri: str, deadline: float, attempt: int) -> bytes:
        fail = functools.partial(ImageError, attempts=attempt)
        try:
            with self._open(uri, deadline, fail) as response:
                self._check_status(response, fail)
                with _cut_at(deadline, response.shutdown):
                    body = self._body(response, fail)
                # Headers or a body that end with the connection look complete even if they were cut.
                if time.monotonic() >= deadline:
                    raise TimeoutError
                return body
        except (LocationValueError, UnicodeError) as e:
            raise fail("bad_uri", one_line(e)) from e
        except ForbiddenAddressError as e:
            raise fail("forbidden_address", one_line(e)) from e
        except (HTTPError, OSError, ValueError, AttributeError) as e:
            # A socket that was cut fails in the middle of whatever urllib3 was doing.
            if time.monotonic() >= deadline:
                raise fail("timeout", f"no whole answer in {self.timeout:g} s", transient=True) from e
            # An answer that is not HTTP may raise ValueError too, for example a chunk of negative length.
            if isinstance(e, AttributeError):
                raise
            error = type(e).__name__
            raise _RetryLaterError(fail("connection", one_line(e), transient=True, error=error)) from e

    def _open(self, uri: str, deadline: float, fail: Any) -> Any:
        pool = _pool(self.allow_private_hosts)
        for _ in range(MAX_REDIRECTS + 1):
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            timeout = urllib3.Timeout(total=left)
            response = pool.request("GET", uri, preload_content=False, retries=False, redirect=False, timeout=timeout)
            location = response.get_redirect_location()
            if not location:
                return contextlib.closing(response)
            response.close()
            try:
                uri = urllib.parse.urljoin(uri, location)
            except ValueError as e:
                raise LocationValueError(f"redirected to {location}: {e}") from e
        raise fail("too_many_redirects", f"more than {MAX_REDIRECTS} redirects")

    def _check_status(self, response: Any, fail: Any) -> None:
        if response.status == 200:
            return
        transient = response.status in retries.TRANSIENT_STATUSES
        message = f"the server answered {response.status} {response.reason or ''}".strip()
        failure = fail(f"http_{response.status}", message, transient=transient, error="HTTPError")
        raise _RetryLaterError(failure, _retry_after(response)) if transient else failure

    def _body(self, response: Any, fail: Any) -> bytes:
        body = bytearray()
        if (response.length_remaining or 0) <= self.max_bytes:
            for chunk in response.stream(retries.CHUNK, decode_content=True):
                body += chunk
                if len(body) > self.max_bytes:
                    break
            else:
                return bytes(body)
        raise fail("too_many_bytes", f"more than {self.max_bytes} bytes")


class _RetryLaterError(Exception):
    """A failed attempt after which another may succeed; `after` is the pause that the server asks for, in seconds."""

    def __init__(self, failure: ImageError, after: float = 0.0):
        super().__init__(str(failure))
        self.failure, self.after = failure, after


def _retry_after(response: Any) -> float:
    try:
        return urllib3.Retry().get_retry_after(response) or 0.0
    except (HTTPError, ValueError, OverflowError):
        return 0.0


@contextlib.contextmanager
def _cut_at(deadline: float, shut: Callable[[], Any]) -> Iterator[None]:
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
