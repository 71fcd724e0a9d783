"""What threads that a library started die of: the reason of a failure, which only their traceback would tell."""

import contextlib
import re
import threading
import traceback
from collections.abc import Iterator
from typing import Any

from pipelines.console.lines import STDERR, complain

_died_of: list[str] = []
_ENDED = re.compile(r"exited with return code (-?\d+)")
KILLED = (-9, 137)
"""Exit codes of a process that was killed: its own, and that of a shell that started it."""


@contextlib.contextmanager
def noted_threads() -> Iterator[None]:
    """Note what threads die of while the block runs; print their tracebacks only where stderr is verbose."""
    before = threading.excepthook
    _died_of.clear()

    def note(died: Any) -> None:
        _died_of.append(str(died.exc_value))
        if STDERR.is_verbose:
            raised = traceback.format_exception(died.exc_type, died.exc_value, died.exc_traceback)
            complain(*"".join(raised).splitlines())

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
