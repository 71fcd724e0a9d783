"""Runs of the command in processes that are forked from one that has imported everything, so that each takes a second.

    python -m tests.forked_runs

reads lines of JSON, [{"argv": [...], "kill_at": n, "below": folder}, ...]: all runs of a line begin at once. It answers
with a line of [[exit code, stderr], ...], the code as of `subprocess`. A run with `kill_at` is killed just before its
n-th change to a file below the folder: making it, opening it to write, renaming it, removing it. One with `memory`, in
bytes, gets no more than that beside what it begins with; one with `seconds` is killed after them. Each run writes a
part after each image, so that one that is killed leaves as much as it can.
"""

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import psutil

IMPORTED = ("pipelines.embed_images", "transforms.backbones.engines.tensorflow", "transforms.core.tensorflow_setup")
"""What takes long to import; a run would do so by and by."""

CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir")
"""Of Python's audit events, those that change a folder; `open` is looked at more closely."""


class ForkedRuns:
    """A process that forks runs: `with ForkedRuns() as runs: runs({"argv": [...]}, ...)`."""

    def __enter__(self) -> "ForkedRuns":
        command = [sys.executable, "-m", "tests.forked_runs"]
        self._server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._server.kill()
        self._server.communicate()

    def __call__(self, *runs: dict[str, Any]) -> list[tuple[int, str]]:
        """Run commands at once; return the exit code and the stderr of each."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(runs) + "\n")
        self._server.stdin.flush()
        return [(code, text) for code, text in json.loads(self._server.stdout.readline())]


def kill_before(number: int, below: str) -> None:
    """Kill this process just before its n-th change to a file below a folder."""
    changes = [0]

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (writes or event in CHANGES) and str(arguments[0]).startswith(below):
            changes[0] += 1
            if changes[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


def run(argv: Sequence[str], errors: Any, kill_at: int = 0, below: str = "", memory: int = 0, seconds: int = 0) -> None:
    """Run the command in this process, and end it."""
    from pipelines.command import main
    from transforms.write import shards

    shards.PART_SECONDS = -1.0
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.dup2(errors.fileno(), 2)
    if kill_at:
        kill_before(kill_at, below)
    if memory:
        limit = psutil.Process().memory_info().vms + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.alarm(seconds)
    code = 70
    try:
        code = main(list(argv))
    finally:
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Answer until there are no more lines."""
    for module in IMPORTED:
        importlib.import_module(module)
    for line in sys.stdin:
        children, answers = [], []
        for one in json.loads(line):
            errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed below)
            child = os.fork()
            if not child:
                run(errors=errors, **one)
            children.append((child, errors))
        for child, errors in children:
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            errors.seek(0)
            answers.append([code, errors.read()])
            errors.close()
        print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    serve()
