"""Weights in Cloud Storage: fetched once a machine, however many processes start at once.

What is fetched is an entry of the cache of graphs, named after the objects and their generations. It gets its name only
when it is whole and is what it should be; processes wait for the one that fetches.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator

from transforms.backbones.kept.graphs import INCOMING, MAX_BYTES, root, trim
from transforms.storage.gcs import generations_of
from transforms.storage.gcs_download import download

PREFIX = "weights-"


@contextlib.contextmanager
def fetched_once(uri: str, check: Callable[[str], None]) -> Iterator[str]:
    """Give the local path of a copy of an object, or of a folder of them; without a cache it ends with the block.

    Args:
      check: raises where a copy is not what it should be; a new one is then not kept.

    Raises:
      OSError: the object cannot be had.
    """
    uri = uri.rstrip("/")
    generations = generations_of(uri)
    if not generations:
        raise FileNotFoundError(f"no such object: {uri}")
    name = uri.rpartition("/")[2]
    decided = json.dumps([uri, generations], sort_keys=True)
    folder = os.path.join(root(), PREFIX + hashlib.sha256(decided.encode()).hexdigest()[:32])
    local = os.path.join(folder, name)
    lock = _lock(folder)
    if lock is None:
        with tempfile.TemporaryDirectory() as temporary:
            local = os.path.join(temporary, name)
            _download(uri, generations, local)
            check(local)
            yield local
        return
    with lock:
        kept = os.path.exists(local)
        if not kept:
            _keep(uri, generations, local, check)
        # What was used last is trimmed last.
        os.utime(folder)
    if kept:
        # Not while the other processes wait.
        check(local)
    yield local


@contextlib.contextmanager
def _held(path: str) -> Iterator[None]:
    with open(path, "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lock(folder: str) -> contextlib.AbstractContextManager[None] | None:
    """Return what holds off the other processes; None where there is no cache, or none that can be written to."""
    if not root():
        return None
    try:
        os.makedirs(root(), mode=0o700, exist_ok=True)
        with open(f"{folder}.lock", "a"):
            return _held(f"{folder}.lock")
    except OSError:
        return None


def _keep(uri: str, generations: Iterable[str], local: str, check: Callable[[str], None]) -> None:
    folder, name = os.path.split(local)
    incoming = tempfile.mkdtemp(prefix=INCOMING, dir=root())
    try:
        _download(uri, generations, os.path.join(incoming, name))
        check(os.path.join(incoming, name))
        os.rename(incoming, folder)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    trim(root(), MAX_BYTES)


def _download(uri: str, generations: Iterable[str], local: str) -> None:
    for path in generations:
        to = os.path.join(local, path) if path else local
        os.makedirs(os.path.dirname(to), exist_ok=True)
        download(f"{uri}/{path}" if path else uri, to)
