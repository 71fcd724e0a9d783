"""Print whatever becomes of stdout and stderr: the exit code speaks of the data, not of the words about it."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO


class UnfailingStream:
    """A text stream that never fails who writes to it: it is closed, its reader is gone, its disk is full.

    Args:
      stream: the stream to write to; None if the process was started without it.
    """

    def __init__(self, stream: TextIO | None):
        self._stream = stream
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write as much as can be written; return the length of the text."""
        self._try("write", text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, or lose it."""
        self._try("flush")

    def close(self) -> None:
        """Leave it open: it is the process's, and libraries that log to it outlive the run."""

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return bool(self._try("isatty"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _try(self, method: str, *arguments: str) -> Any:
        if self._stream is None:
            return None
        try:
            return getattr(self._stream, method)(*arguments)
        except (OSError, ValueError):
            self._lose()
            return None

    def _lose(self) -> None:
        """Let what is buffered, which Python would write when it ends, go nowhere."""
        stream, self._stream = self._stream, None
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
            os.close(nowhere)


@contextlib.contextmanager
def unfailing_streams() -> Iterator[None]:
    """Make stdout and stderr unfailing while the block runs; at its end, all is written that can be."""
    out, err = UnfailingStream(sys.stdout), UnfailingStream(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):  # type: ignore[type-var]
        try:
            yield
        finally:
            out.flush()
            err.flush()
