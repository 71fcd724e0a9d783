"""The signals that end a run raise in the main thread, or are ignored, all alike.

Each is sent to a process of its own: one that is not handled would end these tests.
"""

import signal
import subprocess
import sys

import pytest

from pipelines.console.interrupts import SIGNALS

BEGIN = (
    "import os, signal, sys\nfrom pipelines.console.interrupts import ignore_signals, raise_when_interrupted\n"
    "number = int(sys.argv[1])\n"
)


def printed(number: signal.Signals, code: str) -> str:
    done = subprocess.run([sys.executable, "-c", BEGIN + code, str(number.value)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ctrl_c_the_request_to_end_and_the_loss_of_the_terminal_end_a_run() -> None:
    """(1i)"""
    assert SIGNALS == (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_raises_whatever_a_library_made_of_it(number: signal.Signals) -> None:
    code = (
        "signal.signal(number, lambda *_: None)\nraise_when_interrupted()\n"
        "try:\n    os.kill(os.getpid(), number)\nexcept KeyboardInterrupt:\n    print('raised')\n"
    )
    assert printed(number, code) == "raised\n"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_is_ignored_stays_ignored(number: signal.Signals) -> None:
    """As by nohup."""
    code = (
        "signal.signal(number, signal.SIG_IGN)\nraise_when_interrupted()\n"
        "print(signal.getsignal(number) is signal.SIG_IGN)\n"
    )
    assert printed(number, code) == "True\n"


@pytest.mark.parametrize("number", SIGNALS)
def test_signals_can_be_ignored_while_a_run_is_cleaned_up(number: signal.Signals) -> None:
    code = (
        "raise_when_interrupted()\nignore_signals()\nos.kill(os.getpid(), number)\n"
        "print(signal.getsignal(number) is signal.SIG_IGN)\n"
    )
    assert printed(number, code) == "True\n"
