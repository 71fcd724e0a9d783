"""The signals that end a run: Ctrl-C, the request to end, and the loss of the terminal. All end it alike."""

import signal
import threading

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Those of them that the platform has."""


def raise_when_interrupted() -> None:
    """Make SIGNALS raise KeyboardInterrupt, whatever handler a library installed; ignored signals stay ignored."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)


def ignore_signals() -> None:
    """Ignore SIGNALS while a run is cleaned up."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
