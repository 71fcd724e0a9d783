"""Hashes and sizes of files and folders."""

import hashlib
import os
from collections.abc import Iterator


def sha256_of_files(path: str) -> str:
    """Return the sha256 of a file in hex, or of the hashes of a folder's files in the order of their paths."""
    if not os.path.isdir(path):
        return _sha256(path).hexdigest()
    digest = hashlib.sha256()
    for file in sorted(_files(path)):
        digest.update(_sha256(file).digest())
    return digest.hexdigest()


def size_of_files(folder: str) -> int:
    """Return the size of all files below a folder, in bytes."""
    return sum(os.path.getsize(file) for file in _files(folder))


def _sha256(path: str) -> "hashlib._Hash":
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256")


def _files(folder: str) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        yield from (os.path.join(parent, name) for name in names)
