"""Fetch bytes over http and https from untrusted servers.

Every limit covers the whole fetch: time, bytes as they stream in, redirects, each of which is checked like the uri
itself. A uri's user and password go to its own host alone.
"""

import base64
import contextlib
import dataclasses
import functools
import logging
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError, LocationValueError, SSLError
from urllib3.util import Url, parse_url
from urllib3.util.ssl_match_hostname import CertificateError

from transforms.core import retries
from transforms.core.errors import ImageError, one_line
from transforms.core.image_versions import Content, UnchangedError, check_changed
from transforms.core.printable import printable
from transforms.fetch.conditions import condition_on, version_told
from transforms.fetch.connections import ForbiddenAddressError, connections, cut_at
from transforms.fetch.prefixes import EVERYWHERE, AllowedPrefixes, origin

LOG = logging.getLogger(__name__)

MAX_REDIRECTS = 5
SLOW = 5.0
"""Seconds for one image from which on its host is logged as slow."""


@dataclasses.dataclass(frozen=True)
class HttpFetch:
    """Fetch the body of a uri within limits: str -> Content.

    Args:
      max_bytes: maximum size of the decoded body.
      timeout: seconds for the whole fetch, including retries and redirects.
      attempts: maximum number; transient statuses and broken connections are tried again.
      allow_private_hosts: also dial addresses that are not public.
      pause: seconds before the second attempt, doubled before each further one; Retry-After is heeded up to 30 s.
      allowed: where the uri and each redirect may lead.
    """

    max_bytes: int = 64 << 20
    timeout: float = retries.TIMEOUT
    attempts: int = retries.ATTEMPTS
    allow_private_hosts: bool = False
    pause: float = retries.PAUSE
    allowed: AllowedPrefixes = EVERYWHERE

    def __call__(self, uri: str, known: str = "") -> Content:
        """Return the body and its version; raise ImageError, or UnchangedError if the version is the known one."""
        started = time.monotonic()
        deadline = started + self.timeout
        for attempt in range(1, self.attempts + 1):
            try:
                content = self._attempt(uri, known, deadline, attempt)
                if (seconds := time.monotonic() - started) > SLOW:
                    LOG.info("slow host, %.1f s for an image: %s", seconds, printable(uri))
                return content
            except _RetryLaterError as e:
                pause = min(max(e.after, self.pause * 2 ** (attempt - 1)), retries.LONGEST_PAUSE)
                if attempt == self.attempts or time.monotonic() + pause >= deadline:
                    raise e.failure from e.__cause__
                LOG.info("attempt %d failed, another follows in %.1f s: %s: %s", attempt, pause, printable(uri), e)
                time.sleep(pause)
        raise AssertionError("at least one attempt returns or raises")

    def _attempt(self, uri: str, known: str, deadline: float, attempt: int) -> Content:
        fail = functools.partial(ImageError, attempts=attempt)
        try:
            condition = condition_on(known)
            with self._open(uri, condition, deadline, fail) as response:
                _check_time(deadline)
                if response.status == 304 and condition:
                    _keep_connection(response)
                    raise UnchangedError(known)
                self._check_status(response, fail)
                check_changed(version := version_told(response.headers), known)
                with cut_at(deadline, response.shutdown):
                    body = self._body(response, fail)
                _check_time(deadline)
                return Content(body, version)
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
            if isinstance(e, SSLError) and isinstance(e.args[0], ssl.SSLCertVerificationError | CertificateError):
                raise fail("bad_certificate", one_line(e)) from e
            error = type(e).__name__
            raise _RetryLaterError(fail("connection", one_line(e), transient=True, error=error)) from e

    def _open(self, uri: str, condition: Mapping[str, str], deadline: float, fail: Any) -> Any:
        pool, first = connections(self.allow_private_hosts), parse_url(uri)
        for _ in range(MAX_REDIRECTS + 1):
            self.allowed.check(uri)
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            own = _credentials(first) if origin(parse_url(uri)) == origin(first) else {}
            response = pool.request(
                "GET",
                uri,
                headers={**pool.headers, **own, **condition},
                preload_content=False,
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(total=left),
            )
            location = response.get_redirect_location()
            if not location:
                return contextlib.closing(response)
            response.close()
            try:
                uri = urllib.parse.urljoin(uri, _as_utf8(location))
            except ValueError as e:
                raise LocationValueError(f"redirected to {location}: {e}") from e
        raise fail("too_many_redirects", f"more than {MAX_REDIRECTS} redirects")

    def _check_status(self, response: Any, fail: Any) -> None:
        if response.status == 200:
            return
        transient = response.status in retries.TRANSIENT_STATUSES
        message = f"the server answered {response.status} {response.reason or ''}".strip()
        failure = fail(f"http_{response.status}", message, transient=transient, error="HTTPError")
        after = retries.seconds_until(response.headers.get("Retry-After", ""))
        raise _RetryLaterError(failure, after) if transient else failure

    def _body(self, response: Any, fail: Any) -> bytes:
        body = bytearray()
        # The length is that of the encoded body.
        encoded = "Content-Encoding" in response.headers
        if encoded or (response.length_remaining or 0) <= self.max_bytes:
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


def _check_time(deadline: float) -> None:
    # Headers or a body that end with the connection look complete even if they were cut.
    if time.monotonic() >= deadline:
        raise TimeoutError


def _keep_connection(response: Any) -> None:
    """Finish an answer without a body, so that its connection can be used again."""
    # Where a body would have been chunked, urllib3 waits for its chunks.
    if not response.chunked:
        response.drain_conn()


def _credentials(url: Url) -> dict[str, str]:
    """Return the header for the user and password of a uri, in UTF-8; see RFC 7617."""
    if not url.auth:
        return {}
    user, _, password = url.auth.partition(":")
    both = urllib.parse.unquote_to_bytes(user) + b":" + urllib.parse.unquote_to_bytes(password)
    return {"Authorization": f"Basic {base64.b64encode(both).decode()}"}


def _as_utf8(header: str) -> str:
    """Return a header's text, which http.client has decoded as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header
