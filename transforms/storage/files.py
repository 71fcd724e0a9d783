"""Files on any Beam filesystem: copied to and from the local disk, written whole, deleted."""

import contextlib
import glob
import os
import shutil
from typing import Any

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms.storage import gcs, gcs_download
from transforms.storage.paths import scheme_of

MOVES = 3
"""Attempts to move a local file into a folder that other runs may remove."""


def upload(local: str, destination: str) -> int:
    """Copy a local file to a new file on any Beam filesystem; return its size in bytes."""
    with (
        open(local, "rb") as source,
        FileSystems.create(destination, "application/octet-stream", CompressionTypes.UNCOMPRESSED) as target,
    ):
        shutil.copyfileobj(source, target, 1 << 20)
    return os.path.getsize(local)


def download(path: str, local: str) -> None:
    """Copy a file on any Beam filesystem to the local disk; raise OSError, or what the filesystem raises."""
    if gcs.is_gcs(path) and gcs.INSTALLED:
        # Beam's own reader accepts corrupted bytes.
        gcs_download.download(path, local)
        return
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as source, open(local, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def read_whole(path: str) -> bytes:
    """Return the content of a file on any Beam filesystem."""
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as f:
        content: bytes = f.read()
    return content


def write_whole(text: str, path: str, partial: str, generation: int | None = None) -> None:
    """Write a small file so that readers see all of it or none.

    Args:
      path: the file's path.
      partial: temporary path, on the same filesystem, of a local file while it is written.
      generation: generation of the object that may be replaced, 0 if there must be none; None replaces any.

    Raises:
      LostRaceError: there is an object of another generation.
    """
    if generation is not None:
        gcs.put_if_unchanged(path, text.encode(), generation)
        return
    # An object appears when its upload ends; a local file would be seen growing.
    growing = path if scheme_of(path) else partial
    with FileSystems.create(growing, "application/json", CompressionTypes.UNCOMPRESSED) as f:
        f.write(text.encode())
    if growing != path:
        move(growing, path)


def move(path: str, destination: str) -> None:
    """Rename a file on the same filesystem, and make the folder of the destination if needed."""
    if scheme_of(destination):
        FileSystems.rename([path], [destination])
        return
    for _ in range(MOVES):
        os.makedirs(os.path.dirname(destination), exist_ok=True)
        # Another run may remove the folder while it is still empty.
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, destination)
            return
    FileSystems.rename([path], [destination])


def delete(paths: list[str]) -> None:
    """Delete files; some may be gone already."""
    for path in paths:
        if not scheme_of(path):
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
            continue
        try:
            # Beam takes the path for a glob.
            FileSystems.delete([glob.escape(path)])
        except BeamIOError:
            if FileSystems.exists(path):
                raise


def files_below(folder: str) -> list[Any]:
    """List the metadata of all files below a folder, hidden ones included."""
    pattern = FileSystems.join(glob.escape(folder), "**")
    return [m for result in FileSystems.match([pattern]) for m in result.metadata_list]
