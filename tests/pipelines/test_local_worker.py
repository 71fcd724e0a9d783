"""A worker process ends with the command that started it, and Ctrl-C in its terminal is not for it."""

import os
import shlex
import signal
import subprocess
import sys

import psutil

from pipelines.local_worker import worker_command

CHILD = "from pipelines.local_worker import end_with; import sys; end_with(int(sys.argv[1]))"
COMMAND = f"""
import os, subprocess, sys, time
line = f"exec {{sys.executable}} -c {shlex.quote(CHILD)} {{os.getpid()}}"
print(subprocess.Popen(line, shell=True).pid, flush=True)
time.sleep(100)
"""


def test_a_shell_starts_this_python_in_its_own_place_and_silent_unless_verbose() -> None:
    line = ["exec", sys.executable, "-m", "pipelines.local_worker", str(os.getpid())]
    assert shlex.split(worker_command(verbose=True)) == line
    assert shlex.split(worker_command(verbose=False)) == [*line, "2>/dev/null"]


def test_a_worker_ends_when_its_command_is_killed_and_not_before() -> None:
    with subprocess.Popen([sys.executable, "-c", COMMAND], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout
        worker = psutil.Process(int(command.stdout.readline()))
        assert worker.ppid() == command.pid
        command.send_signal(signal.SIGKILL)
    assert psutil.wait_procs([worker], timeout=60) == ([worker], [])
