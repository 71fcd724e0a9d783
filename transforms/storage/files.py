"""Files between the local disk and any Beam filesystem."""

import contextlib
import glob
import os
import shutil

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms.storage.gcs import INSTALLED, is_gcs
from transforms.storage.gcs_download import download as download_object


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
    if is_gcs(path) and INSTALLED:
        # Beam's own reader takes wrong bytes for right.
        download_object(path, local)
        return
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as source, open(local, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def delete(paths: list[str]) -> None:
    """Delete files that may be gone already."""
    for path in paths:
        if "://" not in path:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
            continue
        try:
            # Beam takes the path for a glob.
            FileSystems.delete([glob.escape(path)])
        except BeamIOError:
            if FileSystems.exists(path):
                raise
