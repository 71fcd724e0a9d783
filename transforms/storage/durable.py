"""Changes to the local disk that a loss of power does not undo: what is written, and the folders that name it."""

import contextlib
import errno
import os
import pathlib

MOVES = 3
"""Attempts to move a file into a folder that other runs may remove while it is empty."""

_NO_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF)
"""Errors of filesystems, and of Windows, that cannot sync a folder."""


def sync(path: str) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk."""
    folder = os.path.isdir(path)
    try:
        # Windows syncs only what may be written.
        descriptor = os.open(path, os.O_RDWR if os.name == "nt" and not folder else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as e:
        if not folder or e.errno not in _NO_FOLDERS:
            raise


def make_folders(path: str) -> None:
    """Make a folder and its parents; raise OSError if a file is in the way, or there is no permission."""
    wanted = pathlib.Path(os.path.abspath(path))
    for folder in reversed([folder for folder in (wanted, *wanted.parents) if not folder.is_dir()]):
        folder.mkdir(exist_ok=True)
        sync(str(folder.parent))


def move(path: str, destination: str) -> None:
    """Rename a file on the same filesystem, and make the folder of the destination if needed."""
    folder = os.path.dirname(os.path.abspath(destination))
    sync(path)
    for attempt in range(MOVES):
        # Another run may remove the folder while it is still empty.
        with contextlib.suppress(*([FileNotFoundError] if attempt < MOVES - 1 else [])):
            make_folders(folder)
            os.replace(path, destination)
            break
    sync(folder)
