"""A worker process of a local run: Beam's, but it leaves Ctrl-C to the command, and ends with it, however that ends.

python -m pipelines.local_worker PID_OF_THE_COMMAND
"""

import os
import shlex
import signal
import sys
import threading
import time

LOOK_SECONDS = 0.5
"""Seconds between two looks at whether the command still runs."""


def worker_command(verbose: bool) -> str:
    """Return the line of a shell that starts a worker of this process.

    Args:
      verbose: whether the worker has a stderr. What it logs reaches the command without; there it would tell how its
        threads lose a command that has ended.
    """
    # Instead of the shell, so that this process is the worker's parent.
    line = f"exec {shlex.quote(sys.executable)} -m pipelines.local_worker {os.getpid()}"
    return line if verbose else f"{line} 2>/dev/null"


def end_with(command: int) -> None:
    """End this process once its parent is no longer the command of this process id."""
    while os.getppid() == command:
        time.sleep(LOOK_SECONDS)
    os._exit(1)


def main(command: int) -> None:
    """Work until the command has no more work."""
    # A terminal sends them to the command as well, which then ends this process.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=end_with, args=(command,), daemon=True).start()
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main(int(sys.argv[1]))
