"""Hashes and sizes of files and folders, and seals.

A seal is a file in a folder, written last, that tells whether the folder's files are still what they were.
"""

import hashlib
import os
import stat
from collections.abc import Iterator

SEAL = "SHA256SUMS"
"""Name of a seal, which holds the lines of `listing_of`."""


def sha256_of_files(path: str) -> str:
    """Return the sha256 of a file in hex, or that of a folder's `listing_of`.

    Raises:
      OSError: as `check_regular`, or a file cannot be read.
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
      OSError: as `check_regular`, or a file cannot be read.
    """
    files = {os.fsencode(os.path.relpath(file, folder).replace(os.sep, "/")): file for file in _files(folder)}
    files.pop(os.fsencode(but), None)
    # Escaped, so that no name can pass for the lines of several files.
    names = {name: name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n") for name in sorted(files)}
    return b"".join(b"%s  %s\n" % (_sha256(files[name]).encode(), escaped) for name, escaped in names.items())


def seal(folder: str) -> None:
    """Seal a folder that has no seal; raise OSError if that fails."""
    listing = listing_of(folder)
    with open(os.path.join(folder, SEAL), "wb") as f:
        f.write(listing)


def is_sealed(folder: str) -> bool:
    """Whether a folder has a seal, whatever became of its files since."""
    return os.path.isfile(os.path.join(folder, SEAL))


def is_intact(folder: str) -> bool:
    """Whether a folder holds the files that were sealed, with the same bytes, and no others."""
    try:
        with open(os.path.join(folder, SEAL), "rb") as f:
            return f.read() == listing_of(folder, but=SEAL)
    except OSError:
        return False


def check_regular(path: str) -> None:
    """Refuse a file, or a folder with files, that cannot be read to an end.

    Raises:
      OSError: one of them is a pipe, a device or the like, for which a reader may wait for ever.
    """
    for file in _files(path) if os.path.isdir(path) else [path]:
        # Those of /proc pass for regular files, but the kernel makes their content up while they are read.
        if not stat.S_ISREG(os.stat(file).st_mode) or os.path.realpath(file).startswith(("/proc/", "/sys/")):
            raise OSError(f"{file} is no regular file")


def size_of_files(folder: str) -> int:
    """Return the size of all files below a folder, in bytes."""
    return sum(os.path.getsize(file) for file in _files(folder))


def _sha256(path: str) -> str:
    check_regular(path)
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _files(folder: str) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        yield from (os.path.join(parent, name) for name in names)
