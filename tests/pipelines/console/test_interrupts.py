"""The signals that end a run raise in the main thread, or are ignored, all alike."""

import os
import signal

import pytest

from pipelines.console.interrupts import SIGNALS, ignore_signals, raise_when_interrupted


def test_ctrl_c_the_request_to_end_and_the_loss_of_the_terminal_end_a_run() -> None:
    """(1i)"""
    assert SIGNALS == (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_raises_whatever_a_library_made_of_it(number: signal.Signals) -> None:
    signal.signal(number, lambda *_: None)
    raise_when_interrupted()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_is_ignored_stays_ignored(number: signal.Signals) -> None:
    """As by nohup."""
    signal.signal(number, signal.SIG_IGN)
    raise_when_interrupted()
    assert signal.getsignal(number) is signal.SIG_IGN


@pytest.mark.parametrize("number", SIGNALS)
def test_signals_can_be_ignored_while_a_run_is_cleaned_up(number: signal.Signals) -> None:
    raise_when_interrupted()
    ignore_signals()
    os.kill(os.getpid(), number)
    assert signal.getsignal(number) is signal.SIG_IGN
