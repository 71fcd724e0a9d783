"""A real terminal, of tmux: what a person types in a shell, and what is on the screen then."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from typing import NamedTuple

import psutil
import pytest

ROOT = pathlib.Path(__file__).parent.parent
COMMANDS = {
    "embed-images": "pipelines.command",
    "similar-images": "pipelines.similar.command",
    "explain-image": "pipelines.explain.command",
}
WIDTH, HEIGHT = 80, 50
"""Columns and rows of the screen."""
MARK = "TERMINAL_OF_A_TEST"
"""Variable of all processes of a terminal."""
PATIENCE = 180.0
"""How long anything may take, in seconds."""
_PROMPT = re.compile(r"^<(\d+)>$")


class Answer(NamedTuple):
    """What a command that was typed has left: its exit code, and the lines on the screen between it and the prompt."""

    code: int
    lines: list[str]

    @property
    def text(self) -> str:
        """The lines, joined."""
        return "\n".join(self.lines)


class Terminal:
    """A shell in a terminal.

    Args:
      folder: working folder, which is the home folder, too; the commands go to a folder beside it.
      **variables: variables of the shell.
    """

    def __init__(self, folder: pathlib.Path, **variables: str):
        if not shutil.which("tmux"):
            pytest.skip("tmux, whose screen is looked at, is not on PATH")
        self._socket = f"test-{uuid.uuid4().hex[:12]}"
        programs = folder.parent / "bin"
        programs.mkdir(exist_ok=True)
        for name, module in COMMANDS.items():
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m {module} "$@"\n')
            program.chmod(0o755)
        environment = {
            **os.environ,
            "HOME": str(folder),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": f"{variables.pop('PYTHONPATH', '')}:{ROOT}".removeprefix(":"),
            "PS1": "<$?>\n",
            "PS2": "",
            MARK: self._socket,
            **variables,
        }
        size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
        shell = ["bash", "--norc", "--noprofile", "-i"]
        command = ["tmux", "-L", self._socket, "-f", os.devnull, "new-session", "-d", *size, "-c", str(folder), *shell]
        subprocess.run(command, env={k: v for k, v in environment.items() if k != "TMUX"}, check=True)
        self.wait_for(lambda: self.screen() == ["<0>"])
        # A screen with one prompt is how `type` knows one that it has cleared.
        self.press("Enter")
        self.wait_for(lambda: self.screen().count("<0>") == 2)

    def close(self) -> None:
        """End the shell, and all that runs in it."""
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True, check=False)

    def screen(self) -> list[str]:
        """Return the lines that are on the screen or have scrolled off; a line that is wrapped is one."""
        shown = self._tmux("capture-pane", "-p", "-J", "-S", "-")
        return [line.rstrip() for line in shown.rstrip().splitlines()]

    def type(self, line: str) -> None:
        """Type a line on an empty screen, and press Enter."""
        self._tmux("send-keys", "clear", "Enter")
        self.wait_for(lambda: self.screen() == ["<0>"])
        self._tmux("clear-history")
        self._tmux("send-keys", "-l", line)
        self._tmux("send-keys", "Enter")

    def press(self, key: str) -> None:
        """Press a key, as tmux names it."""
        self._tmux("send-keys", key)

    def ended(self) -> Answer:
        """Wait for the prompt; return what was typed last has left."""
        self.wait_for(lambda: len(self.screen()) > 2 and bool(_PROMPT.match(self.screen()[-1])))
        _, _, *lines, prompt = self.screen()
        found = _PROMPT.match(prompt)
        assert found
        return Answer(int(found[1]), lines)

    def answer(self, line: str) -> Answer:
        """Type a line, and wait for its end."""
        self.type(line)
        return self.ended()

    def wait_for(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds; fail with the screen if it never does."""
        patience = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < patience, "\n".join(self.screen())
            time.sleep(0.05)

    def processes(self) -> list[psutil.Process]:
        """Return the processes that commands have started here, and that still run: all but the shell."""
        return [one for one in psutil.process_iter() if self._is_of_a_command(one)]

    def _is_of_a_command(self, process: psutil.Process) -> bool:
        try:
            ours = process.environ().get(MARK) == self._socket
            return ours and process.status() != psutil.STATUS_ZOMBIE and process.name() not in ("bash", "tmux: server")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._socket, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def terminal(folder: pathlib.Path, **variables: str) -> Iterator[Terminal]:
    """Yield a terminal, for a fixture."""
    one = Terminal(folder, **variables)
    try:
        yield one
    finally:
        one.close()
