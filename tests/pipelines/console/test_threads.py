"""What threads of a library die of is noted, and printed only for who asks."""

import threading

import pytest

from pipelines.console.lines import STDERR
from pipelines.console.threads import died_worker, noted_threads
from pipelines.console.unexpected import unexpected


def die(message: str) -> None:
    def work() -> None:
        raise RuntimeError(message)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("Worker subprocess exited with return code 137", "a worker process was killed (exit code 137), as the system"),
        ("Worker subprocess exited with return code -9", "a worker process was killed (exit code -9), as the system"),
        ("Worker subprocess exited with return code 3", "a worker process ended with exit code 3"),
        ("the channel is closed", ""),
    ],
)
@pytest.mark.parametrize("verbose", [True, False])
def test_the_end_of_a_worker_is_the_reason(
    message: str, says: str, verbose: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pytest's own, which tests may not fail by.
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    monkeypatch.setattr(STDERR, "is_verbose", verbose)
    with noted_threads():
        die("something before")
        die(message)
        assert died_worker().startswith(says)
        assert bool(died_worker()) == bool(says)
        assert unexpected("it failed", RuntimeError("Channel closed."), verbose=False).startswith(
            f"it failed: {says or 'Channel closed.'}"
        )
    assert ("Traceback" in capsys.readouterr().err) is verbose
    assert threading.excepthook is threading.__excepthook__


def test_what_threads_died_of_in_another_run_is_forgotten() -> None:
    with noted_threads():
        die("Worker subprocess exited with return code 3")
    with noted_threads():
        assert died_worker() == ""
