"""Weights in Cloud Storage: downloaded once per machine, however many processes start at once.

A download is an entry of the cache folder, named after the objects and their generations. It gets its name once it is
complete and checked; other processes wait for the one that downloads.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator

from transforms.storage import cache
from transforms.storage.gcs import generations_of
from transforms.storage.gcs_download import download
from transforms.storage.locks import is_lockable, locked
from transforms.storage.seals import is_intact, seal

PREFIX = "weights-"


@contextlib.contextmanager
def downloaded_once(uri: str, check: Callable[[str], None]) -> Iterator[str]:
    """Yield the local path of a copy of an object or of a folder; without a cache, the copy ends with the block.

    Args:
      uri: uri of the object or the folder.
      check: function that raises if a copy is wrong; such a copy is not kept.

    Raises:
      OSError: the object cannot be downloaded.
    """
    uri = uri.rstrip("/")
    generations = generations_of(uri)
    if not generations:
        raise FileNotFoundError(f"no such object: {uri}")
    name = uri.rpartition("/")[2]
    decided = json.dumps([uri, generations], sort_keys=True)
    entry = os.path.join(cache.root(), PREFIX + hashlib.sha256(decided.encode()).hexdigest()[:32])
    local = os.path.join(entry, name)

    def fetch(folder: str) -> None:
        _download(uri, generations, os.path.join(folder, name))
        check(os.path.join(folder, name))
        seal(folder)

    if not _is_kept(entry):
        with tempfile.TemporaryDirectory() as folder:
            fetch(folder)
            yield os.path.join(folder, name)
        return
    with locked(f"{entry}.lock"):
        kept = is_intact(entry)
        if not kept:
            cache.add(entry, fetch, is_complete=is_intact)
        # Marks the entry as used now, so that it is not trimmed next.
        os.utime(entry)
    if kept:
        # After the lock, so that other processes do not wait.
        check(local)
    yield local


def _is_kept(entry: str) -> bool:
    """Whether there is a cache, and it can be written to."""
    if not cache.root():
        return False
    try:
        cache.make_root()
    except OSError:
        return False
    return is_lockable(f"{entry}.lock")


def _download(uri: str, generations: Iterable[str], local: str) -> None:
    for path in generations:
        to = os.path.join(local, path) if path else local
        os.makedirs(os.path.dirname(to), exist_ok=True)
        download(f"{uri}/{path}" if path else uri, to)
