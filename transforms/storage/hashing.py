"""Hashes and sizes of files and folders of the local disk, and what can be read to an end there."""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from io import BufferedReader

_WITHOUT_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""Flags, where the platform has them, with which no file is waited for while it is opened."""


class NotAFileError(OSError):
    """A path of a folder, a pipe, a device, or a file that the system makes up: a reader may wait for ever."""


@contextlib.contextmanager
def opened_regular(path: str) -> Iterator[BufferedReader]:
    """Open a regular file for reading.

    Raises:
      NotAFileError: it is none.
      OSError: it cannot be opened.
    """
    # Opening a device may do something, so what is none is refused before; and again, should it have been replaced.
    _check(path, os.stat(path), path)
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _WITHOUT_WAITING)) as f:
        _check(path, os.fstat(f.fileno()), f.fileno())
        yield f


def check_regular(path: str) -> None:
    """Refuse a file, or a folder with files, that cannot be read to an end.

    Raises:
      NotAFileError: one of them is no regular file.
    """
    for file in _files(path) if os.path.isdir(path) else [path]:
        _check(file, os.stat(file), file)


def _check(path: str, found: os.stat_result, opened: str | int) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise NotAFileError(f"a folder: {path}")
    if not stat.S_ISREG(found.st_mode):
        raise NotAFileError(f"no regular file: {path}")
    if hasattr(os, "statvfs") and not os.statvfs(opened).f_blocks and _is_made_up(path, found):
        raise NotAFileError(f"made up by the system while it is read: {path}")


def _is_made_up(path: str, found: os.stat_result) -> bool:
    """Whether a file of a filesystem without blocks is the kernel's: reading /proc/kmsg waits, and changes it."""
    # Others may have no blocks either, those of FUSE for example, but their files have sizes.
    return not found.st_size or os.path.realpath(path).startswith(("/proc/", "/sys/"))


def sha256_of_files(path: str) -> str:
    """Return the sha256 of a file in hex, or that of a folder's `listing_of`.

    Raises:
      OSError: a file cannot be read, or is no regular file.
    """
    return hashlib.sha256(listing_of(path)).hexdigest() if os.path.isdir(path) else _sha256(path)


def listing_of(folder: str, but: str = "") -> bytes:
    """Return a line for each file below a folder, with its hash and name, in the order of their names.

    They are what this prints, but for the escapes of line breaks and backslashes in names:

        cd FOLDER; find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum

    Args:
      folder: path of the folder.
      but: name of a file in it to leave out.

    Raises:
      OSError: a file cannot be read, or is no regular file.
    """
    files = {os.fsencode(os.path.relpath(file, folder).replace(os.sep, "/")): file for file in _files(folder)}
    files.pop(os.fsencode(but), None)
    # Escaped, so that no name can pass for the lines of several files.
    names = {name: name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n") for name in sorted(files)}
    return b"".join(b"%s  %s\n" % (_sha256(files[name]).encode(), escaped) for name, escaped in names.items())


def size_of_files(path: str) -> int:
    """Return the size of a file, or of all files below a folder, in bytes."""
    return sum(map(os.path.getsize, _files(path))) if os.path.isdir(path) else os.path.getsize(path)


def _sha256(path: str) -> str:
    with opened_regular(path) as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _files(folder: str) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        yield from (os.path.join(parent, name) for name in names)
