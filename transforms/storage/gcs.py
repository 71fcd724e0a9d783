"""Objects of Google Cloud Storage: the owner of google-cloud-storage.

Object names are used as they are, without escapes. A write can be conditional, so that only one of two runs that finish
at once wins. STORAGE_EMULATOR_HOST names a server to use instead of Google's, without credentials.
"""

import dataclasses
import functools
import io
import os
import re
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from transforms.core.errors import UsageError, one_line
from transforms.storage.paths import Found, fixed_part, scheme_of, visible_below

try:
    import google.auth
    from google.api_core.exceptions import GoogleAPIError, NotFound, PreconditionFailed
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud import storage
    from google.cloud.storage.retry import DEFAULT_RETRY
    from requests.adapters import HTTPAdapter
    from requests.exceptions import RequestException

    INSTALLED = True
except ImportError:
    INSTALLED = False

INSTALL = "pip install 'apache-beam[gcp]'"
EMULATOR = "STORAGE_EMULATOR_HOST"
PAYS = "GOOGLE_CLOUD_QUOTA_PROJECT"
"""The variable of Google's libraries that names the project that pays for requests."""
BILLING_PROJECT = "billing_project"
"""The pipeline option that tells it to workers, which do not have the variables of the command."""
CONNECTIONS = 64
"""Connections that a process keeps open: at least one per fetching thread."""

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]+", re.ASCII)


class LostRaceError(RuntimeError):
    """An object has changed since it was looked at: another run has written it."""


@dataclasses.dataclass(frozen=True)
class Stat:
    """What the service knows about an object: its generation, its size in bytes, its crc32c in base64."""

    generation: int
    num_bytes: int
    crc32c: str


def is_gcs(path: str) -> bool:
    """Whether a path is in Google Cloud Storage."""
    return path[:5].lower() == "gs://"


def split(uri: str) -> tuple[str, str]:
    """Return the bucket and the name of an object: the name has no escapes, no query and no fragment.

    Raises:
      ValueError: no object can have this uri.
    """
    bucket, _, name = uri[len("gs://") :].partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"names no bucket: {uri}")
    if name in ("", ".", "..") or "\n" in name or "\r" in name:
        raise ValueError(f"names no object: {uri}")
    return bucket, name


def check_access(paths: Iterable[str]) -> None:
    """Refuse gs:// paths without a bucket or credentials; Beam would search for these for minutes.

    Raises:
      UsageError: google-cloud-storage is not installed, there are no credentials, or a bucket is not there.
    """
    found = list(filter(is_gcs, paths))
    if not found:
        return
    path = found[0]
    if not INSTALLED:
        raise UsageError(f"nothing here reads {path}; for gs:// run: {INSTALL}")
    try:
        client()
    except DefaultCredentialsError as e:
        raise UsageError(
            f"there are no Google credentials for {path}; run: gcloud auth application-default login, "
            "or let GOOGLE_APPLICATION_CREDENTIALS name a service account's key"
        ) from e
    except GoogleAuthError as e:
        raise UsageError(f"the Google credentials for {path} cannot be used: {one_line(e)}") from e
    for path in found:
        bucket = path[len("gs://") :].partition("/")[0]
        if not _BUCKET.fullmatch(bucket) or not bucket_exists(bucket):
            raise UsageError(f"there is no bucket gs://{bucket}, which {path} is in")


def install_hint(path: str) -> str:
    """Return how to install support for a path's scheme, if Beam's own message does not say it; else ''."""
    return f"; for gs:// run: {INSTALL}" if scheme_of(path) == "gs" and not INSTALLED else ""


def payer_hint(answer: str) -> str:
    """Return what to do if the service's answer is that the requester has to pay; else ''."""
    return f"; its requester pays: name the project with --{BILLING_PROJECT}" if "requester pays" in answer else ""


def _told(error: Exception) -> str:
    """Return what an error of the service says, in one line, with what to do where that is known."""
    return one_line(error) + payer_hint(str(error))


def bucket_exists(bucket: str) -> bool:
    """Whether a bucket exists; True if in doubt."""
    try:
        return _is_listable(client(), bucket)
    except (GoogleAPIError, GoogleAuthError, RequestException):
        return True


@functools.lru_cache(1024)
def _is_listable(storage: Any, bucket: str) -> bool:
    """Whether a bucket exists, found by listing it: accounts that read objects may often not read its metadata."""
    try:
        next(iter(storage.list_blobs(bucket, max_results=1, retry=DEFAULT_RETRY.with_timeout(20.0))), None)
    except NotFound:
        return False
    return True


def stat(uri: str) -> Stat | None:
    """Return what the service knows about an object, or None if it does not exist.

    Raises:
      OSError: the service cannot be asked.
    """
    bucket, name = split(uri)
    try:
        blob = client().bucket(bucket).get_blob(name, retry=DEFAULT_RETRY)
    except (GoogleAPIError, GoogleAuthError) as e:
        raise OSError(f"cannot look at {uri}: {_told(e)}") from e
    return Stat(int(blob.generation), int(blob.size), blob.crc32c or "") if blob else None


def listed(pattern: str) -> Iterator[Found]:
    """List the objects that a glob matches, page by page, in order of their names, with their generations.

    Leaves out those with a hidden name (.name) below the fixed part of the pattern, and the marks of folders.

    Raises:
      OSError: the service cannot be asked.
    """
    # Here, since flags are checked before Beam is imported.
    from apache_beam.io.filesystem import FileSystem

    bucket, _, names = pattern[len("gs://") :].partition("/")
    fixed = fixed_part(names)
    is_visible, matches = visible_below(fixed), re.compile(FileSystem.translate_pattern(names)).match
    try:
        fields = "items(name,generation,size),nextPageToken"
        for blob in client().list_blobs(bucket, prefix=fixed, fields=fields, retry=DEFAULT_RETRY):
            # Consoles mark a folder with an empty object whose name ends in a slash.
            is_mark = blob.name.endswith("/") and not blob.size
            if matches(blob.name) and is_visible(blob.name) and not is_mark:
                yield Found(f"gs://{bucket}/{blob.name}", f"generation:{blob.generation}")
    except (GoogleAPIError, GoogleAuthError, RequestException) as e:
        raise OSError(f"cannot list {pattern}: {_told(e)}") from e


def generations_of(uri: str) -> dict[str, int]:
    """Return generations by path below `uri`: of a folder's objects, or of one object as {'': generation}.

    Raises:
      OSError: the service cannot be asked, or a path leads out of the folder.
    """
    if found := stat(uri):
        return {"": found.generation}
    folder = uri.rstrip("/")
    bucket, name = split(folder)
    prefix = f"{name}/"
    try:
        below = {b.name[len(prefix) :]: int(b.generation) for b in client().list_blobs(bucket, prefix=prefix)}
    except (GoogleAPIError, GoogleAuthError, RequestException) as e:
        raise OSError(f"cannot list {folder}: {one_line(e)}") from e
    # Consoles mark a folder with an object whose name ends in a slash.
    paths = {path: generation for path, generation in below.items() if path and not path.endswith("/")}
    for path in paths:
        if not {"", ".", ".."}.isdisjoint(path.split("/")):
            raise OSError(f"{folder} holds an object of the name {path}, which no local file can have")
    return paths


class _Ranges(io.RawIOBase):
    """The bytes of one generation of an object, each read by a request of its own."""

    def __init__(self, blob: Any, uri: str):
        self._blob, self._uri, self._size = blob, uri, int(blob.size)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self._size - self._at)
        if size <= 0:
            return 0
        try:
            data = self._blob.download_as_bytes(
                start=self._at,
                end=self._at + size - 1,
                raw_download=True,
                if_generation_match=self._blob.generation,
                checksum=None,
                retry=DEFAULT_RETRY,
            )
        except (GoogleAPIError, GoogleAuthError, RequestException) as e:
            raise OSError(f"cannot read {self._uri}: {one_line(e)}") from e
        if len(data) != size:
            raise OSError(f"cannot read {self._uri}: {len(data):,} bytes came for {size:,}")
        buffer[:size] = data
        self._at += size
        return size


def opened_object(uri: str) -> Any:
    """Open an object to read here and there in it; None if it is stored in another form than it is read in, as gzip.

    A part of an object has no checksum.

    Raises:
      OSError: it cannot be read.
    """
    bucket, name = split(uri)
    try:
        blob = client().bucket(bucket).get_blob(name, retry=DEFAULT_RETRY)
    except (GoogleAPIError, GoogleAuthError, RequestException) as e:
        raise OSError(f"cannot read {uri}: {_told(e)}") from e
    if not blob:
        raise FileNotFoundError(f"no such object: {uri}")
    return None if blob.content_encoding == "gzip" else io.BufferedReader(_Ranges(blob, uri), 1 << 20)


def generation_of(uri: str) -> int:
    """Return the generation of an object as `put_if_unchanged` takes it, 0 if there is no object."""
    found = stat(uri)
    return found.generation if found else 0


def put_if_unchanged(uri: str, data: bytes, generation: int) -> None:
    """Write an object in one request, if the present one still has this generation; 0 means that there is none.

    Raises:
      LostRaceError: there is another object now, which stays.
      OSError: it cannot be written.
    """
    bucket, name = split(uri)
    blob = client().bucket(bucket).blob(name)
    try:
        blob.upload_from_string(
            data, "application/json", if_generation_match=generation, checksum="crc32c", retry=DEFAULT_RETRY
        )
    except PreconditionFailed as e:
        raise LostRaceError(f"{uri} was written by another run meanwhile, and is left as it is") from e
    except (GoogleAPIError, GoogleAuthError) as e:
        raise OSError(f"cannot write {uri}: {one_line(e)}") from e


def delete(uris: list[str]) -> None:
    """Delete objects, 100 with each request; some may be gone already.

    Raises:
      OSError: one cannot be deleted.
    """
    # Here, since it needs google-cloud-storage.
    from apache_beam.io.gcp.gcsio import GcsIO

    try:
        statuses = GcsIO(client(), {}).delete_batch(uris)
    # Where no request was answered in all of its attempts, Beam looks for the status of None.
    except (GoogleAPIError, GoogleAuthError, RequestException, AttributeError) as e:
        raise OSError(f"cannot delete {uris[0]}: {one_line(e)}") from e
    for uri, status in statuses:
        if status:
            raise OSError(f"cannot delete {uri}: the service answered {status}")


_clients: dict[tuple[int, str, str], Any] = {}
_lock = threading.Lock()


def client() -> Any:
    """Return the one client of this process, whose connections all threads share.

    Raises:
      GoogleAuthError: there are no credentials; looked up once per process.
    """
    emulator, payer = os.environ.get(EMULATOR, ""), _payer()
    with _lock:
        # A process that was forked needs connections of its own.
        key = (os.getpid(), emulator, payer)
        if key not in _clients:
            try:
                _clients[key] = _connect(emulator, payer)
            except GoogleAuthError as e:
                _clients[key] = e
        found = _clients[key]
    if isinstance(found, Exception):
        raise found
    return found


def session() -> Any:
    """Return the requests.Session of `client`, which adds the credentials."""
    return client()._http


def _connect(emulator: str, payer: str) -> Any:
    if emulator:
        credentials, project = AnonymousCredentials(), None
    else:
        credentials, project = google.auth.default(scopes=[_SCOPE], quota_project_id=payer or None)
    connections = AuthorizedSession(credentials)
    if payer:
        # https://cloud.google.com/storage/docs/using-requester-pays: with each request to the JSON API.
        connections.params = {"userProject": payer}
    for scheme in ("https://", "http://"):
        connections.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=CONNECTIONS))
    return storage.Client(project or "none", credentials, _http=connections)


def _payer() -> str:
    # Here, since flags are checked before Beam is imported.
    from apache_beam.options.value_provider import RuntimeValueProvider

    return os.environ.get(PAYS) or RuntimeValueProvider.get_value(BILLING_PROJECT, str, "") or ""
