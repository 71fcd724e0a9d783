"""Lines are printed as lines, each as plain text, and nothing else prints."""

import ast
import datetime
import json
import logging
import pathlib
import subprocess
import sys

import pytest

from pipelines.console.lines import STDERR, complain, say
from pipelines.console.logs import PrintableFormatter

ROOT = pathlib.Path(__file__).parents[3]

FORGED = "a.jpg\n  failed    none\x1b[1A"
SHOWN = r"a.jpg\n  failed    none\u001b[1A"

PRINTS = {
    "pipelines/console/lines.py": "the one place",
    "pipelines/console/reference.py": "writes a page of the docs",
}
"""Modules that may call print, with the reason."""


def test_a_line_stays_one_line_on_either_stream(capsys: pytest.CaptureFixture[str]) -> None:
    """(4e): an image's name could add lines to the summary."""
    say("first", FORGED)
    complain(FORGED, "", "https://me:pw@h/")
    assert capsys.readouterr() == (f"first\n{SHOWN}\n", f"{SHOWN}\n\nhttps://***@h/\n")


def test_in_json_a_complaint_is_one_object(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STDERR, "is_json", True)
    monkeypatch.setattr(STDERR, "run_id", "RUN")
    complain("", "embed-images: one https://me:pw@h/", FORGED)
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert datetime.datetime.fromisoformat(told.pop("time")).tzinfo == datetime.UTC
    assert told == {"level": "error", "message": f"one https://***@h/\n{SHOWN}", "run_id": "RUN"}


def test_what_is_logged_is_plain_text_and_a_traceback_keeps_its_lines() -> None:
    """(4e)"""
    try:
        raise ValueError("\x1b[2J https://me:pw@h/")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "lost %s", ("\x1b?sig=ab",), sys.exc_info())
    lines = PrintableFormatter("embed-images: %(message)s").format(record).split("\n")
    assert lines[:2] == [r"embed-images: lost \u001b?sig=***", "Traceback (most recent call last):"]
    assert lines[-1] == r"ValueError: \u001b[2J https://***@h/"


def test_what_libraries_say_at_debug_is_plain_text() -> None:
    """(4e)"""
    code = (
        "import warnings, logging\nfrom pipelines.command import main\n"
        "main(['--list_backbones', '--log_level=debug'])\n"
        r"warnings.warn('\x1b[31m'); logging.getLogger('x').error('\x1b[32m')"
    )
    heard = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stderr
    assert r"\u001b[31m" in heard
    assert r"\u001b[32m" in heard
    assert "\x1b" not in heard


def calls_print(path: pathlib.Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.Name) and node.id == "print" for node in ast.walk(tree))


def test_nothing_else_prints() -> None:
    """(4e): a new message could not be forgotten."""
    code = [path for room in ("pipelines", "transforms") for path in (ROOT / room).rglob("*.py")]
    assert {path.relative_to(ROOT).as_posix() for path in code if calls_print(path)} == set(PRINTS)
