"""Files on any Beam filesystem: copied to and from the local disk, read whole, moved, deleted."""

import contextlib
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms.storage import durable, gcs, gcs_download
from transforms.storage.paths import scheme_of


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


@contextlib.contextmanager
def written_locally(path: str) -> Iterator[str]:
    """Yield a path on the local disk to write a new file to; when the block ends, the file is at `path`."""
    if not scheme_of(path):
        durable.make_folders(os.path.dirname(path))
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, "file")
        yield local
        upload(local, path)


@contextlib.contextmanager
def read_locally(path: str) -> Iterator[str]:
    """Yield a path on the local disk at which a file can be read while the block runs."""
    if not scheme_of(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, "file")
        download(path, local)
        yield local


@contextlib.contextmanager
def opened(path: str) -> Iterator[Any]:
    """Open a file on any Beam filesystem for reading at any position: what is not read is not downloaded."""
    with (
        FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
        if scheme_of(path)
        else open(path, "rb") as f
    ):
        yield f


def read_whole(path: str) -> bytes:
    """Return the content of a file on any Beam filesystem."""
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as f:
        content: bytes = f.read()
    return content


def move(path: str, destination: str) -> None:
    """Rename a file on the same filesystem, and make the folder of the destination if needed."""
    if scheme_of(destination):
        FileSystems.rename([path], [destination])
    else:
        durable.move(path, destination)


def delete(paths: list[str]) -> None:
    """Delete files, in any order; some may be gone already."""
    objects = [path for path in paths if gcs.is_gcs(path)]
    if objects:
        gcs.delete(objects)
    for path in paths:
        if gcs.is_gcs(path):
            continue
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
