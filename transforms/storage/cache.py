"""The cache folder on the local disk: an entry appears complete or not at all, and the total size is limited.

The folder may be deleted at any time. EMBED_IMAGES_CACHE names another one; an empty value switches the cache off. What
is kept decides vectors, so a folder in which anyone else could write is not used.
"""

import contextlib
import functools
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable

from transforms.storage.hashing import size_of_files

VARIABLE = "EMBED_IMAGES_CACHE"
INCOMING = ".incoming-"
"""Prefix of the names of entries that are still being written."""
DAY = 86_400
MAX_BYTES = 20_000_000_000
"""Size of the folder, in bytes, above which the least recently used entries are removed."""


def root() -> str:
    """Return the cache folder, or '' if the cache is switched off, or the folder is not this user's alone."""
    default = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "embed-images")
    folder = os.environ.get(VARIABLE, default)
    return "" if folder and _is_shared(folder) else folder


def _is_shared(folder: str) -> bool:
    """Whether a folder belongs to another user, or others may write to it; tells of each such folder once."""
    if not hasattr(os, "getuid"):
        # Windows keeps no such modes.
        return False
    with contextlib.suppress(OSError):
        found = os.stat(folder)
        if found.st_uid != os.getuid():
            _warn(
                f"the cache {folder} belongs to another user, and is not used; set {VARIABLE} to a folder of your own"
            )
            return True
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            _warn(f"others may write to the cache {folder}, so it is not used; run: chmod go-w {folder}")
            return True
    return False


@functools.cache
def _warn(message: str) -> None:
    logging.getLogger(__name__).warning(message)


def is_writable() -> bool:
    """Whether entries can be kept for the next start; makes the folder."""
    with contextlib.suppress(OSError):
        if root():
            make_root()
            return os.access(root(), os.W_OK | os.X_OK)
    return False


def make_root() -> None:
    """Make the cache folder, for its owner alone; raise OSError if that fails."""
    os.makedirs(root(), mode=0o700, exist_ok=True)


def add(entry: str, write: Callable[[str], object], is_complete: Callable[[str], bool] = os.path.exists) -> None:
    """Write an entry under a temporary name, and rename it once it is complete.

    Args:
      entry: path of the entry, in the cache folder.
      write: function that writes the content to the folder whose path it gets; its exceptions pass through.
      is_complete: whether an entry that another process added meanwhile can be used; a broken one is replaced.

    Raises:
      OSError: there is no room, or no permission.
    """
    make_root()
    incoming = tempfile.mkdtemp(prefix=INCOMING, dir=root())
    try:
        write(incoming)
        try:
            os.rename(incoming, entry)
        except OSError:
            if not is_complete(entry):
                shutil.rmtree(entry)
                os.rename(incoming, entry)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    trim(root(), MAX_BYTES)


def trim(folder: str, max_bytes: int) -> None:
    """Remove the least recently used entries above a size in bytes, and what killed processes left unfinished."""
    with os.scandir(folder) as entries:
        folders = sorted((e for e in entries if e.is_dir()), key=lambda e: e.stat().st_mtime, reverse=True)
    total = 0
    for entry in folders:
        # Other processes rename and remove entries at the same time.
        with contextlib.suppress(OSError):
            total += size_of_files(entry.path)
            if entry.name.startswith(INCOMING):
                unwanted = entry.stat().st_mtime < time.time() - DAY
            else:
                unwanted = total > max_bytes
            if unwanted:
                shutil.rmtree(entry.path, ignore_errors=True)
