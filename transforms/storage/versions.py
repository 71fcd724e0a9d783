"""Small files that one of several runs may replace: a run replaces only what it saw.

On Cloud Storage a request names the generation that it replaces. On the local disk, the two calls below stand in one
`exclusive` block. Other filesystems have neither: between the look and the write, another run may write.
"""

import contextlib
import hashlib
import threading

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms.storage import durable, gcs
from transforms.storage.files import read_whole
from transforms.storage.gcs import LostRaceError
from transforms.storage.locks import locked
from transforms.storage.paths import is_file, scheme_of

_in_this_process = threading.Lock()


def exclusive(lock: str) -> contextlib.AbstractContextManager[object]:
    """Hold the lock for which a local file stands; elsewhere, one against the other threads of this process."""
    return _in_this_process if scheme_of(lock) else locked(lock)


def version_of(path: str) -> str:
    """Return what tells a file from its earlier and later selves; '' if there is none.

    Raises:
      OSError: the storage cannot be read.
    """
    if gcs.is_gcs(path):
        return str(gcs.generation_of(path) or "")
    return hashlib.sha256(read_whole(path)).hexdigest() if is_file(path) else ""


def put_if_unchanged(text: str, path: str, version: str, partial: str) -> None:
    """Write a small file so that readers see all of it or none, and it is on the disk.

    Args:
      text: the content.
      path: the file's path.
      version: the `version_of` what may be replaced.
      partial: temporary path, on the same filesystem, of a local file while it is written.

    Raises:
      LostRaceError: there is another version.
      OSError: it cannot be written.
    """
    if gcs.is_gcs(path):
        gcs.put_if_unchanged(path, text.encode(), int(version or 0))
        return
    if version_of(path) != version:
        raise LostRaceError(f"{path} was written by another run meanwhile, and is left as it is")
    # An object appears when its upload ends; a local file would be seen growing.
    growing = path if scheme_of(path) else partial
    with FileSystems.create(growing, "application/json", CompressionTypes.UNCOMPRESSED) as f:
        f.write(text.encode())
    if growing != path:
        durable.move(growing, path)
