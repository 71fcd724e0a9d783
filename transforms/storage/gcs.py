"""Objects of Google Cloud Storage, by names as they are: the owner of google-cloud-storage.

A download is checked against the crc32c that the service keeps, and bounded while it streams. A put can be conditional,
so that of two runs that finish at once one wins. STORAGE_EMULATOR_HOST names another server than Google's, and needs
no credentials.
"""

import dataclasses
import functools
import os
import re
import threading
from collections.abc import Iterable
from typing import Any

from transforms.core.errors import UsageError, one_line

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

INSTALL = "pip install 'beam-image-embeddings[gcp]'"
EMULATOR = "STORAGE_EMULATOR_HOST"
CONNECTIONS = 64
"""Connections that a process keeps open: no fewer than the threads that fetch."""

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]+", re.ASCII)


class LostRaceError(RuntimeError):
    """An object is not the one that was seen before: another run has put it since."""


@dataclasses.dataclass(frozen=True)
class Stat:
    """What the service says of an object: its generation, its `size` in bytes, the base64 of its crc32c."""

    generation: int
    size: int
    crc32c: str


def is_gcs(path: str) -> bool:
    """Say whether a path is one of Google Cloud Storage."""
    return path[:5].lower() == "gs://"


def split(uri: str) -> tuple[str, str]:
    """Return the bucket and the name of an object; nothing in the name is an escape, a query or a fragment.

    Raises:
      ValueError: no object can have this uri.
    """
    bucket, _, name = uri[len("gs://") :].partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"{uri} names no bucket")
    if name in ("", ".", "..") or "\n" in name or "\r" in name:
        raise ValueError(f"{uri} names no object")
    return bucket, name


def check_access(paths: Iterable[str]) -> None:
    """Refuse paths of gs:// without a bucket or without credentials, for which Beam would look for minutes.

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


def bucket_exists(bucket: str) -> bool:
    """Say whether a bucket is there; if in doubt it is."""
    try:
        return _is_listable(client(), bucket)
    except (GoogleAPIError, GoogleAuthError, RequestException):
        return True


@functools.lru_cache(1024)
def _is_listable(storage: Any, bucket: str) -> bool:
    """Say whether a bucket can be listed, which whoever reads objects may ask for, and its metadata often not."""
    try:
        next(iter(storage.list_blobs(bucket, max_results=1, retry=DEFAULT_RETRY.with_timeout(20.0))), None)
    except NotFound:
        return False
    return True


def stat(uri: str) -> Stat | None:
    """Return what the service says of an object, None where there is none.

    Raises:
      OSError: the service cannot be asked.
    """
    bucket, name = split(uri)
    try:
        blob = client().bucket(bucket).get_blob(name, retry=DEFAULT_RETRY)
    except (GoogleAPIError, GoogleAuthError) as e:
        raise OSError(f"cannot look at {uri}: {one_line(e)}") from e
    return Stat(int(blob.generation), int(blob.size), blob.crc32c or "") if blob else None


def generations_of(uri: str) -> dict[str, int]:
    """Return the generation of an object, as that of '', or those of a folder's objects by their paths below it.

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
    # Consoles mark a folder by an object whose name ends so.
    paths = {path: generation for path, generation in below.items() if path and not path.endswith("/")}
    for path in paths:
        if not {"", ".", ".."}.isdisjoint(path.split("/")):
            raise OSError(f"{folder} holds an object of the name {path}, which no local file can have")
    return paths


def generation_of(uri: str) -> int:
    """Return the generation of an object as it is now, 0 where there is none: what `put` takes."""
    found = stat(uri)
    return found.generation if found else 0


def put(uri: str, data: bytes, generation: int) -> None:
    """Write an object, at once, if what is there is still of this generation; 0 is nothing.

    Raises:
      LostRaceError: there is another one now, which stays.
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


_clients: dict[tuple[int, str], Any] = {}
_lock = threading.Lock()


def client() -> Any:
    """Return the process's one client, whose connections all its threads share.

    Raises:
      GoogleAuthError: there are no credentials; found out once.
    """
    emulator = os.environ.get(EMULATOR, "")
    with _lock:
        # A process that was forked needs connections of its own.
        key = (os.getpid(), emulator)
        if key not in _clients:
            try:
                _clients[key] = _connect(emulator)
            except GoogleAuthError as e:
                _clients[key] = e
        found = _clients[key]
    if isinstance(found, Exception):
        raise found
    return found


def session() -> Any:
    """Return the connections of `client`, a requests.Session that adds the credentials."""
    return client()._http


def _connect(emulator: str) -> Any:
    if emulator:
        credentials, project = AnonymousCredentials(), None
    else:
        credentials, project = google.auth.default(scopes=[_SCOPE])
    connections = AuthorizedSession(credentials)
    for scheme in ("https://", "http://"):
        connections.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=CONNECTIONS))
    return storage.Client(project or "none", credentials, _http=connections)
