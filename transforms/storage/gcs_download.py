"""Download objects of Google Cloud Storage: one request each, checked by crc32c, bounded, retried."""

import base64
import dataclasses
import functools
import gzip
import io
import itertools
import logging
import math
import os
import shutil
import time
import urllib.parse
import zlib
from collections.abc import Callable
from typing import IO, Any, NamedTuple

from transforms.core import retries
from transforms.core.counters import count
from transforms.core.errors import one_line
from transforms.core.image_versions import (
    GENERATION,
    Content,
    UnchangedError,
    check_changed,
    object_version,
    told_by,
)
from transforms.storage.gcs import bucket_exists, client, payer_hint, session, split, stat
from transforms.storage.pace import Pace

try:
    import google_crc32c
    from google.api_core.retry import exponential_sleep_generator
    from google.auth.exceptions import GoogleAuthError, TransportError
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError, IncompleteRead
except ImportError:
    # transforms.storage.gcs.INSTALLED says so.
    pass


LOG = logging.getLogger(__name__)

PACE = Pace()
"""Of all downloads of this process."""


class DownloadError(OSError):
    """An object that could not be downloaded.

    Args: as for `transforms.core.errors.ImageError`.
    """

    def __init__(self, reason: str, message: str, *, transient: bool = False, error: str = "", attempts: int = 1):
        super().__init__(message)
        self.reason, self.transient, self.error, self.attempts = reason, transient, error, attempts


class MissingObjectError(DownloadError, FileNotFoundError):
    """There is no such object, or no such bucket."""


class RefusedError(DownloadError):
    """The service asked for fewer requests; `after` is the pause that it names, in seconds."""

    after = 0.0


Failing = Callable[..., DownloadError]
"""DownloadError, with the number of the attempt filled in."""


class Stored(NamedTuple):
    """How an object is stored: its version, '' if the server names none, and its content encoding."""

    version: str
    encoding: str


@dataclasses.dataclass(frozen=True)
class GcsDownload:
    """Download an object within limits: 'gs://bucket/name' -> Content.

    Args:
      max_bytes: maximum size of the object; also after inflating, if it is stored as gzip.
      timeout: seconds for the whole download, including retries.
      attempts: maximum number; transient statuses, broken connections and corrupted bytes are tried again.
      pause: average seconds before the second attempt, doubled before each further one.
      patience: seconds of refusals in a row, which are no attempts, before it gives up; Retry-After is heeded to 30 s.
    """

    max_bytes: int
    timeout: float = retries.TIMEOUT
    attempts: int = retries.ATTEMPTS
    pause: float = retries.PAUSE
    patience: float = math.inf

    def __call__(self, uri: str, known: str = "") -> Content:
        """Return the object; raise DownloadError, or UnchangedError if its version is the known one."""
        sink = io.BytesIO()
        version, encoding = self.copy(uri, sink, known)
        data = sink.getvalue()
        return Content(self._inflated(data) if encoding == "gzip" else data, version)

    def copy(self, uri: str, sink: IO[bytes], known: str = "") -> Stored:
        """Write an object's bytes as they are stored; raise DownloadError, or UnchangedError.

        Args:
          sink: emptied before each attempt.
          known: version whose bytes are not wanted.
        """
        try:
            bucket, name = split(uri)
            name.encode()
        except ValueError as e:
            raise DownloadError("bad_uri", one_line(e)) from e
        until = deadline = time.monotonic() + self.timeout
        pauses = exponential_sleep_generator(self.pause, retries.LONGEST_PAUSE)
        broken, error = 0, _failure("timeout", f"no whole answer in {self.timeout:g} s", transient=True)
        for attempt in itertools.count(1):
            turn = PACE.turn(until)
            if turn is None:
                raise error
            if attempt > 1:
                count("fetches-retried")
            sink.seek(0)
            sink.truncate()
            try:
                fail = functools.partial(_failure, attempts=attempt)
                found = self._attempt(uri, (bucket, name), sink, known, deadline, fail)
            except UnchangedError:
                PACE.answered()
                raise
            except RefusedError as e:
                error, until = e, min(until, turn + self.patience)
                PACE.refused(turn, e.after)
            except DownloadError as e:
                error, until, broken, pause = e, deadline, broken + 1, next(pauses)
                if not e.transient or broken == self.attempts or time.monotonic() + pause >= deadline:
                    raise
                LOG.info("attempt %d failed, another follows in %.1f s: %s: %s", attempt, pause, uri, one_line(e))
                time.sleep(pause)
            else:
                PACE.answered()
                return found
        raise AssertionError("the loop returns or raises")

    def _attempt(
        self, uri: str, place: tuple[str, str], sink: IO[bytes], known: str, deadline: float, fail: Failing
    ) -> Stored:
        try:
            with self._open(place, known, deadline) as response:
                if response.status_code == 304 and _condition(known):
                    # To its end, so that the connection can be used again.
                    response.raw.drain_conn()
                    raise UnchangedError(known)
                if response.status_code != 200:
                    raise self._refused(response, uri, place, fail)
                if int(response.headers.get("X-Goog-Stored-Content-Length", 0)) > self.max_bytes:
                    raise fail("too_many_bytes", f"more than {self.max_bytes} bytes")
                version = object_version(response.headers.get("X-Goog-Generation", ""))
                check_changed(version, known)
                crc32c = self._stream(response, sink, deadline, fail)
                self._check(response, uri, sink.tell(), crc32c, fail)
                return Stored(version, response.headers.get("Content-Encoding", ""))
        except (GoogleAuthError, RequestException, HTTPError, TimeoutError) as e:
            if time.monotonic() >= deadline:
                raise fail("timeout", f"no whole answer in {self.timeout:g} s", transient=True) from e
            if isinstance(e.__cause__, IncompleteRead):
                raise fail("corrupted_download", f"ended early: {one_line(e)}", transient=True) from e
            if isinstance(e, GoogleAuthError) and not isinstance(e, TransportError):
                raise fail("permission_denied", f"no credentials for {uri}: {one_line(e)}") from e
            raise fail("connection", one_line(e), transient=True) from e

    def _open(self, place: tuple[str, str], known: str, deadline: float) -> Any:
        bucket, name = place
        url = f"{client().api_endpoint}/download/storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}"
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        # The service knows only the checksum of the stored bytes, so what is stored as gzip must arrive as gzip.
        headers = {"Accept-Encoding": "gzip"}
        params = {"alt": "media", **_condition(known)}
        return session().get(url, params=params, headers=headers, stream=True, timeout=left, allow_redirects=False)

    def _stream(self, response: Any, sink: IO[bytes], deadline: float, fail: Failing) -> bytes:
        checksum = google_crc32c.Checksum()
        if (response.raw.length_remaining or 0) > self.max_bytes:
            raise fail("too_many_bytes", f"more than {self.max_bytes} bytes")
        # One read of the socket at a time, so that a trickle cannot outlast the deadline.
        while chunk := response.raw.read1(retries.CHUNK, decode_content=False):
            sink.write(chunk)
            checksum.update(chunk)
            if sink.tell() > self.max_bytes:
                raise fail("too_many_bytes", f"more than {self.max_bytes} bytes")
            if time.monotonic() >= deadline:
                raise TimeoutError
        return bytes(checksum.digest())

    def _check(self, response: Any, uri: str, size: int, crc32c: bytes, fail: Failing) -> None:
        stored = response.headers.get("X-Goog-Stored-Content-Length")
        if stored and int(stored) != size:
            raise fail("corrupted_download", f"{size} of {stored} bytes came", transient=True)
        hashes = dict(h.strip().split("=", 1) for h in response.headers.get("X-Goog-Hash", "").split(",") if "=" in h)
        expected = hashes.get("crc32c")
        if expected is None:
            # Some servers do not send the checksum with the bytes.
            try:
                found = stat(uri)
            except OSError as e:
                raise fail("connection", one_line(e), transient=True) from e
            expected = found.crc32c if found else ""
        if expected and base64.b64decode(expected) != crc32c:
            raise fail("corrupted_download", f"the crc32c of what came is not {expected}", transient=True)

    def _refused(self, response: Any, uri: str, place: tuple[str, str], fail: Failing) -> DownloadError:
        status = response.status_code
        if status in (401, 403):
            return fail("permission_denied", f"may not be read: {uri}", error="HTTPError")
        if status == 404:
            if bucket_exists(place[0]):
                return fail("not_found", f"no such object: {uri}", error="HTTPError")
            return fail("bucket_not_found", f"no such bucket: gs://{place[0]}", error="HTTPError")
        answer = f"the server answered {status} {response.reason or ''}".strip()
        said = response.raw.read(retries.CHUNK, decode_content=True).decode(errors="replace") if status == 400 else ""
        if hint := payer_hint(said):
            return fail("permission_denied", f"may not be read: {uri}{hint}", error="HTTPError")
        error = fail(f"http_{status}", answer, transient=status in retries.TRANSIENT_STATUSES, error="HTTPError")
        if isinstance(error, RefusedError):
            error.after = retries.seconds_until(response.headers.get("Retry-After", ""))
        return error

    def _inflated(self, data: bytes) -> bytes:
        inflate = zlib.decompressobj(wbits=31)
        try:
            inflated = inflate.decompress(data, self.max_bytes + 1)
        except zlib.error as e:
            raise DownloadError("truncated", f"is stored as gzip, but is not gzip: {one_line(e)}") from e
        if len(inflated) > self.max_bytes:
            raise DownloadError("too_many_bytes", f"inflates to more than {self.max_bytes} bytes")
        return inflated


def _condition(known: str) -> dict[str, str]:
    """Return the parameter after which the service answers 304 if it still has the known version."""
    generation = told_by(known, GENERATION)
    return {"ifGenerationNotMatch": generation} if generation.isascii() and generation.isdigit() else {}


def _failure(reason: str, message: str, **details: Any) -> DownloadError:
    if reason.endswith("not_found"):
        return MissingObjectError(reason, message, **details)
    refused = reason in {f"http_{status}" for status in retries.REFUSALS}
    return (RefusedError if refused else DownloadError)(reason, message, **details)


def download(uri: str, local: str, timeout: float = 3600.0) -> None:
    """Copy an object to the local disk and check it.

    Raises:
      DownloadError: it cannot be read; MissingObjectError if it does not exist.
    """
    with open(local, "wb") as f:
        _, encoding = GcsDownload(1 << 50, timeout, attempts=8, patience=retries.TIMEOUT).copy(uri, f)
    if encoding == "gzip":
        os.rename(local, f"{local}.gz")
        with gzip.open(f"{local}.gz") as stored, open(local, "wb") as f:
            shutil.copyfileobj(stored, f, 1 << 20)
        os.remove(f"{local}.gz")
