"""The entry: answers before libraries are imported, exit codes, what is silenced, and an end that waits for nothing."""

import functools
import importlib.metadata
import os
import pathlib
import subprocess
import sys
import threading
import warnings
from typing import Any

import pytest

from pipelines.command import main, silence
from pipelines.options.flags import parser
from tests.pipelines.conftest import LIGHT, answer_of, files_in
from transforms.core.errors import Interrupted, RunError, UsageError

LIBRARIES = ("apache_beam", "tensorflow", "keras", "pyarrow", "numpy")

answered = functools.partial(answer_of, "pipelines.command", LIBRARIES)

ENDS_WHILE_A_THREAD_RUNS = """
import sys, threading
import pipelines.embed_images
from pipelines.command import main

def interrupted(root, plan):
    threading.Thread(target=threading.Event().wait).start()
    print("half a line", end="")
    raise KeyboardInterrupt

pipelines.embed_images.build = interrupted
sys.exit(main())
"""


def test_help_names_every_flag_and_imports_no_library() -> None:
    code, printed, complained, imported = answered("--help")
    assert (code, complained, imported) == (0, "", set())
    for action in parser()._actions:
        assert action.option_strings[-1] in printed


def test_without_an_argument_a_line_says_what_is_missing() -> None:
    assert answered() == (2, "", "embed-images: --input is missing; see embed-images --help\n", set())


def test_a_mistake_in_a_flag_of_ours_is_answered_before_a_library_is_imported() -> None:
    code, printed, complained, imported = answered("--input", "photos", "--output", "out", "--batch_size=0")
    assert (code, printed, imported) == (2, "", set())
    assert complained.startswith("embed-images: argument --batch_size: must be a whole number of at least 1")
    assert complained.count("\n") == 1


def test_the_version_is_printed_without_a_library() -> None:
    version = importlib.metadata.version("beam-image-embeddings")
    assert answered("--version") == (0, f"embed-images {version}", "", set())


def test_completion_is_answered_without_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    # argcomplete ends the process by itself, so that a name is hidden which a library would need.
    for name, value in {"_ARGCOMPLETE": "1", "COMP_LINE": "embed-images --list", "COMP_POINT": "19"}.items():
        monkeypatch.setenv(name, value)
    hide = "".join(f"sys.modules[{name!r}] = None\n" for name in LIBRARIES)
    code = f"import os, sys\n{hide}os.dup2(1, 8)\nfrom pipelines.command import main\nmain([])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "--list_backbones", "")


def test_the_backbones_are_listed_without_a_library() -> None:
    code, printed, complained, imported = answered("--list_backbones")
    assert (code, complained, imported) == (0, "", set())
    head, *rows = printed.splitlines()
    assert head.split() == ["backbone", "size", "width", "parameters", "top-1", "%", "preprocessing"]
    assert len(rows) == 40
    # As keras.io/api/applications has them.
    assert ["ResNet50", "224", "2048"] in [row.split()[:3] for row in rows]
    assert ["Xception", "299", "2048"] in [row.split()[:3] for row in rows]


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (UsageError("choose another"), 2, "embed-images: choose another\n"),
        (RunError("the run failed: no room"), 1, "embed-images: the run failed: no room\n"),
        (Interrupted("no longer followed"), 130, "\nno longer followed\n"),
        (KeyboardInterrupt(), 130, "\nembed-images: interrupted\n"),
        (ZeroDivisionError("a\nb"), 1, "embed-images: the command failed: b; --log_level debug shows more\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_each_way_in_which_a_run_ends_has_its_exit_code_and_its_words(
    raised: BaseException,
    code: int,
    said: str,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*_: Any) -> int:
        raise raised

    monkeypatch.setattr("pipelines.embed_images.run", run)
    assert main(["--input", str(photos), "--output", str(tmp_path / "out")]) == code
    assert capsys.readouterr() == ("", said)


def test_what_nothing_expected_ends_a_dry_run_in_a_line_as_it_ends_a_run(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("broken")

    monkeypatch.setattr("transforms.decode.images.Decode.__call__", broken)
    for flags, line in {
        ("--dry_run",): "embed-images: the command failed: broken; --log_level debug shows more\n",
        (): "embed-images: the run failed: ",
    }.items():
        assert main(["--input", str(photos), "--output", str(tmp_path / "out"), *LIGHT, *flags]) == 1
        complained = capsys.readouterr().err
        assert complained.startswith(line)
        assert complained.count("\n") == 1


def test_an_interrupt_before_the_pipeline_runs_is_one_line(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("transforms.backbones.loaded.get", interrupted)
    assert main(["--input", str(photos), "--output", str(tmp_path / "out"), "--weights", "random"]) == 130
    assert capsys.readouterr().err == "\nembed-images: interrupted\n"


@pytest.mark.exhaustive
def test_a_run_that_is_interrupted_ends_though_its_threads_run_on(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    flags = ["--input", str(photos), "--output", str(tmp_path / "out"), *LIGHT]
    command = [sys.executable, "-c", ENDS_WHILE_A_THREAD_RUNS, *flags]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (result.returncode, result.stdout) == (130, "half a line")
    assert result.stderr.startswith("\ninterrupted, nothing half-written was kept; to start again:\n  embed-images ")
    assert files_in(tmp_path / "out") == []


def test_what_the_libraries_say_is_silenced_unless_a_person_has_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    # First set, so that it is removed again when the test ends.
    monkeypatch.setenv("GRPC_VERBOSITY", "")
    monkeypatch.delenv("GRPC_VERBOSITY")
    with warnings.catch_warnings(record=True) as heard:
        silence()
        warnings.warn("something", stacklevel=1)
    assert (os.environ["TF_CPP_MIN_LOG_LEVEL"], os.environ["GRPC_VERBOSITY"]) == ("0", "NONE")
    assert heard == []


def test_debug_silences_nothing() -> None:
    code = (
        "import sys, warnings, logging\nfrom pipelines.command import main\n"
        "main(['--list_backbones', *sys.argv[1:]])\n"
        "warnings.warn('a warning')\nlogging.getLogger('x').error('an error')"
    )
    quiet, loud = (
        subprocess.run([sys.executable, "-c", code, *flags], capture_output=True, text=True).stderr
        for flags in ([], ["--log_level", "debug"])
    )
    assert quiet == ""
    assert "a warning" in loud
    assert "an error" in loud


@pytest.mark.parametrize(("flag", "shown"), [("--log_level=debug", True), ("--log_level=info", False), ("", False)])
def test_what_a_thread_died_of_is_shown_to_who_asks(
    flag: str, shown: bool, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die() -> None:
        raise OSError("the channel is closed")

    def run(*_: Any) -> int:
        thread = threading.Thread(target=die)
        thread.start()
        thread.join()
        return 0

    # Pytest's own, which tests may not fail by.
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    monkeypatch.setattr("pipelines.embed_images.run", run)
    # A flag for Beam, so that no graph is built ahead.
    flags = ["--input", "photos", "--output", str(tmp_path / "out"), "--runner=FnApiRunner", *([flag] if flag else [])]
    assert main(flags) == 0
    assert ("the channel is closed" in capsys.readouterr().err) is shown
