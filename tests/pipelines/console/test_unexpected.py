"""An exception that nothing expected is one line, and more only for who asks."""

import pytest

from pipelines.console.unexpected import cause, unexpected

RPC = """<_MultiThreadedRendezvous of RPC that terminated with:
\tstatus = StatusCode.UNAVAILABLE
\tdetails = "{}"
\tdebug_error_string = "UNKNOWN:Error received from peer"
>"""


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("", ""),
        ("\n \n", ""),
        ("one", "one"),
        ("Traceback:\n  File x\nValueError: why  not\n\n", "ValueError: why not"),
        ("x" * 400, "x" * 299 + "…"),
        (RPC.format("the socket is closed"), "the socket is closed"),
        (RPC.format("Traceback:\n File x\nOSError: disk is full"), "OSError: disk is full"),
        ("Traceback:\ntransforms.core.errors.RunError: it is [x] [while running 'Probe-ptransform-1']", "it is [x]"),
        (RPC.format(""), "StatusCode.UNAVAILABLE"),
        (
            "Traceback:\nModuleNotFoundError: No module named 'transforms'\n\nDuring it, another:\nRuntimeError: x",
            "the workers do not have this project (No module named 'transforms'): install it where they run",
        ),
    ],
)
def test_the_cause_is_the_last_line_of_a_message(message: str, line: str) -> None:
    assert cause(message) == line


@pytest.mark.parametrize(("error", "line"), [(KeyError("a"), "'a'"), (MemoryError(), "MemoryError")])
def test_a_traceback_is_printed_only_for_who_asks(
    error: Exception, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for verbose in (False, True):
        try:
            raise error
        except Exception as e:
            said = unexpected("it failed", e, verbose=verbose)
        assert said == f"it failed: {line}; --log_level debug shows more"
        complained = capsys.readouterr().err
        assert complained.startswith("Traceback" if verbose else "")
        assert bool(complained) is verbose
