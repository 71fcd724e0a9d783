"""What threads that a library started die of: the reason of a failure, which only their traceback would tell."""

import contextlib
import re
import threading
from collections.abc import Iterator
from typing import Any

_died_of: list[str] = []
_ENDED = re.compile(r"exited with return code (-?\d+)")
KILLED = (-9, 137)
"""Exit codes of a process that was killed: its own, and that of a shell that started it."""


@contextlib.contextmanager
def noted_threads(verbose: bool) -> Iterator[None]:
    """Note what threads die of while the block runs; print their tracebacks only if `verbose`."""
    before = threading.excepthook
    _died_of.clear()

    def note(died: Any) -> None:
        _died_of.append(str(died.exc_value))
        if verbose:
            before(died)

    threading.excepthook = note
    try:
        yield
    finally:
        threading.excepthook = before


def died_worker() -> str:
    """Say how a worker process ended, if a thread that watched one has died of it; else ''."""
    codes = [int(found[1]) for message in list(_died_of) if (found := _ENDED.search(message))]
    if not codes:
        return ""
    if codes[0] in KILLED:
        return f"a worker process was killed (exit code {codes[0]}), as the system does where memory runs out"
    return f"a worker process ended with exit code {codes[0]}"
