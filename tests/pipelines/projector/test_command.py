"""The entry: help, mistakes and completion before libraries are imported; one line and an exit code for each end."""

import functools
import os
import pathlib
import subprocess
import sys

import pytest

import transforms
from pipelines.options.commands.projector import parser
from pipelines.projector.command import main
from tests.collection_files import collection, embedding
from tests.pipelines.conftest import answer_of

LIBRARIES = {"apache_beam", "tensorflow", "keras", "pyarrow", "numpy", "PIL"}

answered = functools.partial(answer_of, "pipelines.projector.command", LIBRARIES)


def test_help_names_every_flag_and_imports_no_library() -> None:
    code, printed, complained, imported = answered("--help")
    assert (code, complained, imported) == (0, "", set())
    for action in parser()._actions:
        assert action.option_strings[-1] in printed


def test_the_version_is_told_and_a_mistake_is_one_line_before_a_library_is_imported() -> None:
    assert answered("--version") == (0, f"projector-files {transforms.__version__}", "", set())
    code, printed, complained, imported = answered("--embeddings", "made", "--out", "shown", "--limit=0")
    assert (code, printed, imported) == (2, "", set())
    assert complained == (
        "projector-files: argument --limit: must be a whole number from 1 to 100000, is '0'; "
        "see projector-files --help\n"
    )


def test_a_shell_is_offered_the_flags_of_this_command() -> None:
    code = "import os\nos.dup2(1, 8)\nfrom pipelines.projector.command import main\nmain()"
    line = "projector-files --no_"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    environment = {**os.environ, **asked, "COMP_TYPE": "9"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["--no_pictures"], "")


def test_each_way_to_end_has_its_exit_code_and_its_line(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    collection(tmp_path / "made", [embedding("/a.jpg", label=1)])
    here = ["--embeddings", str(tmp_path / "made"), "--out"]
    assert main([*here, str(tmp_path / "shown")]) == 0
    assert main([*here, str(tmp_path / "made")]) == 2
    assert main(["--embeddings", str(tmp_path), "--out", str(tmp_path / "shown")]) == 2
    for path in (tmp_path / "made").glob("parquet/*"):
        path.unlink()
    assert main([*here, str(tmp_path / "shown")]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert all(line.startswith("projector-files: ") for line in said)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.projector.projector_files.open_collection", interrupted)
    assert main([*here, str(tmp_path / "shown")]) == 130
    assert capsys.readouterr().err == "\nprojector-files: interrupted\n"


def test_the_module_is_the_command(tmp_path: pathlib.Path) -> None:
    collection(tmp_path / "made", [embedding("/a.jpg", label=1)])
    folders = ["--embeddings", str(tmp_path / "made"), "--out", str(tmp_path / "shown")]
    command = [sys.executable, "-m", "pipelines.projector.command", *folders, "--no_pictures"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("points    1 of 1 images\nwritten   ")
