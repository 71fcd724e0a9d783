"""Locks between the processes of a machine, and of all machines that share a filesystem with locks."""

import contextlib
import os
from collections.abc import Iterator

from filelock import FileLock


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold the lock that a file stands for; wait for whoever holds it, but not for one whose process has ended.

    Raises:
      OSError: the file cannot be made.
    """
    with FileLock(path):
        try:
            yield
        finally:
            # While it is held: who waits for a removed file notices, and makes another. Windows may keep it.
            with contextlib.suppress(OSError):
                os.remove(path)


def is_lockable(path: str) -> bool:
    """Whether `locked` can take a file: it may lie in a folder that cannot be written to."""
    try:
        with open(path, "a"):
            return os.access(path, os.W_OK)
    except OSError:
        return False
