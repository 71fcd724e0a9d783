"""Printing fails nobody: streams that are closed, full or without a reader, and characters that they lack."""

import io
import os
import pathlib
import subprocess
import sys

import pytest

from pipelines.console.streams import UnfailingStream, unfailing_streams

PRINT = (
    "import sys\nfrom pipelines.console.streams import unfailing_streams\n"
    "with unfailing_streams():\n"
    "    for _ in range(2000):\n        print('ä' * 60)\n    print('done', file=sys.stderr)\n"
    "sys.exit(3)\n"
)


def printed(shell: str, tmp_path: pathlib.Path, **environment: str) -> tuple[int, str]:
    """Return the exit code of a process that prints 120 kB and ends with 3, and what it wrote to stderr."""
    (tmp_path / "print.py").write_text(PRINT)
    command = f"{shell.format(python=f'{sys.executable} {tmp_path}/print.py')}"
    result = subprocess.run(
        ["bash", "-c", command], stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ".", **environment}
    )
    return result.returncode, result.stderr


@pytest.mark.parametrize(
    "shell",
    [
        "{python} > /dev/full",
        "{python} | head -1 > /dev/null; exit ${{PIPESTATUS[0]}}",
        "{python} >&-",
        "{python} > /dev/null",
    ],
    ids=["full", "no reader", "closed", "whole"],
)
def test_the_exit_code_and_the_other_stream_are_those_of_a_run_that_was_heard(
    shell: str, tmp_path: pathlib.Path
) -> None:
    """(1d)"""
    assert printed(shell, tmp_path) == (3, "done\n")


@pytest.mark.parametrize("shell", ["{python} 2>/dev/full >/dev/null", "{python} 2>&- >/dev/null"])
def test_a_stderr_that_cannot_be_written_changes_nothing_either(shell: str, tmp_path: pathlib.Path) -> None:
    """(1d)"""
    assert printed(shell, tmp_path)[0] == 3


def test_characters_that_a_stream_lacks_are_escaped(tmp_path: pathlib.Path) -> None:
    """(1d)"""
    code, _ = printed(f"{{python}} > {tmp_path}/out", tmp_path, PYTHONIOENCODING="ascii")
    assert code == 3
    assert (tmp_path / "out").read_text().splitlines() == ["\\xe4" * 60] * 2000


def test_a_stream_goes_on_as_what_it_was_when_the_block_ends() -> None:
    before = sys.stdout, sys.stderr
    with unfailing_streams():
        assert sys.stdout is not before[0]
    assert (sys.stdout, sys.stderr) == before


def test_a_stream_is_as_it_was_but_for_its_failures() -> None:
    stream = UnfailingStream(io.StringIO())
    assert stream.write("text") == 4
    assert stream.getvalue() == "text"
    assert not stream.isatty()
    nothing = UnfailingStream(None)
    assert nothing.write("text") == 4
    nothing.flush()
    assert not nothing.isatty()


def test_a_library_that_kept_the_stream_of_a_run_may_close_it(capfd: pytest.CaptureFixture[str]) -> None:
    with unfailing_streams():
        kept = sys.stderr
    kept.close()
    print("heard", file=sys.stderr)
    assert capfd.readouterr().err == "heard\n"
