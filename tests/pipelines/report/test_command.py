"""The entry: help and mistakes before libraries are imported, one line and an exit code for each way to end."""

import functools
import pathlib
import subprocess
import sys

import pytest

import transforms
from pipelines.options.commands.report import parser
from pipelines.report.command import main
from tests.collection_files import collection, embedding
from tests.pipelines.conftest import answer_of

LIBRARIES = {"altair", "apache_beam", "jinja2", "numpy", "pyarrow", "sklearn", "tensorflow", "vl_convert"}

answered = functools.partial(answer_of, "pipelines.report.command", LIBRARIES)


def test_help_names_every_flag_and_imports_no_library() -> None:
    code, printed, complained, imported = answered("--help")
    assert (code, complained, imported) == (0, "", set())
    for action in parser()._actions:
        assert action.option_strings[-1] in printed


def test_the_version_is_printed_without_a_library() -> None:
    assert answered("--version") == (0, f"report-images {transforms.__version__}", "", set())


def test_a_shell_is_offered_what_completes_a_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_ARGCOMPLETE": "1", "COMP_LINE": "report-images --embed", "COMP_POINT": "21"}.items():
        monkeypatch.setenv(name, value)
    code = "import os\nos.dup2(1, 8)\nfrom pipelines.report.command import main\nmain([])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "--embeddings", "")


def test_a_mistake_is_one_line_before_a_library_is_imported() -> None:
    code, printed, complained, imported = answered("--out", "report.html")
    assert (code, printed, imported) == (2, "", set())
    assert complained == "report-images: --embeddings is missing; see report-images --help\n"


def test_a_library_that_lacks_is_one_line_before_any_work(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["--embeddings", str(tmp_path / "none"), "--out", str(tmp_path / "report.html")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("report-images: the report needs what is not installed; pip install altair ")
    assert said.count("\n") == 1


def test_each_way_to_end_has_its_exit_code_and_its_line(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "report.html")]
    assert main(["--embeddings", str(tmp_path), *out]) == 2
    collection(tmp_path / "made", [embedding("/a.jpg", label=0)])
    assert main(["--embeddings", str(tmp_path / "made"), "--out", "https://host/report.html"]) == 2
    for path in tmp_path.glob("made/parquet/*"):
        path.unlink()
    assert main(["--embeddings", str(tmp_path / "made"), *out]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert all(line.startswith("report-images: ") for line in said)
    assert not (tmp_path / "report.html").exists()
