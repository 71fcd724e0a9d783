"""Keras' own downloads: where they are kept, and how one is made safely. Importing this does not import Keras."""

import contextlib
import os
import re
import socket
import sys
from collections.abc import Iterator

from transforms.core.errors import UsageError, one_line
from transforms.storage.locks import is_lockable, locked

TIMEOUT = 60.0
"""Seconds without a byte from Keras' server after which a download is given up."""


def keras_folder() -> str:
    """Return the folder in which Keras keeps its downloads."""
    return os.path.join(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"), "models")


@contextlib.contextmanager
def keras_download(what: str, otherwise: str) -> Iterator[None]:
    """Let one process at a time download, with a timeout; if that fails, say in one line what to do.

    Args:
      what: name of the download, for the message.
      otherwise: what to do instead, for the message.

    Raises:
      UsageError: the file in Keras' folder is broken, or it is missing and cannot be downloaded.
    """
    lock = os.path.join(keras_folder(), ".embed-images.lock")
    with contextlib.suppress(OSError):
        os.makedirs(keras_folder(), exist_ok=True)
    before = socket.getdefaulttimeout()
    # A folder that cannot be written to can still be read, and needs no lock.
    with locked(lock) if is_lockable(lock) else contextlib.nullcontext():
        socket.setdefaulttimeout(TIMEOUT)
        try:
            # Keras prints its progress to stdout, which is for results.
            with contextlib.redirect_stdout(sys.stderr):
                yield
        except Exception as e:
            url = re.search(r"https?://\S+?(?=:?(?:\s|$))", str(e))
            if url:
                failed, advice = "downloaded", f"put {url.group().rpartition('/')[2]} into"
            elif isinstance(e, OSError):
                failed, advice = "read", "delete their file in"
            else:
                raise
            why = one_line(e, 160)
            raise UsageError(f"{what} cannot be {failed} ({why}): {advice} {keras_folder()}, or {otherwise}") from e
        finally:
            socket.setdefaulttimeout(before)
