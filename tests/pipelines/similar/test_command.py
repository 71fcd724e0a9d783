"""The entry: help and mistakes before libraries are imported, one line and an exit code for each way to end."""

import functools
import os
import pathlib
import subprocess
import sys

import pytest

import transforms
from pipelines.options.commands.similar import parser
from pipelines.similar.command import main
from tests.pipelines.conftest import answer_of
from tests.pipelines.similar.conftest import Made

LIBRARIES = {"apache_beam", "tensorflow", "keras", "pyarrow", "numpy"}

answered = functools.partial(answer_of, "pipelines.similar.command", LIBRARIES)


def test_help_names_every_flag_and_imports_no_library() -> None:
    code, printed, complained, imported = answered("--help")
    assert (code, complained, imported) == (0, "", set())
    for action in parser()._actions:
        assert action.option_strings[-1] in printed


def test_the_version_is_printed_without_a_library() -> None:
    assert answered("--version") == (0, f"similar-images {transforms.__version__}", "", set())


def test_a_shell_is_offered_what_completes_a_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_ARGCOMPLETE": "1", "COMP_LINE": "similar-images --embed", "COMP_POINT": "22"}.items():
        monkeypatch.setenv(name, value)
    code = "import os\nos.dup2(1, 8)\nfrom pipelines.similar.command import main\nmain([])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "--embeddings", "")


def test_a_mistake_is_one_line_before_a_library_is_imported() -> None:
    code, printed, complained, imported = answered("--embeddings", "out", "--pairs", "--above=2")
    assert (code, printed, imported) == (2, "", set())
    assert complained.startswith("similar-images: argument --above: must be a cosine, from -1 to 1, is '2'")
    assert complained.count("\n") == 1


def test_each_way_to_end_has_its_exit_code_and_its_line(
    made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ["--embeddings", str(made.folder)]
    assert main([*here, "--to", str(made.photos / "0.jpg")]) == 0
    assert main([*here, "--to", "gone.jpg"]) == 2
    assert main(["--embeddings", str(made.photos), "--pairs"]) == 2
    for path in made.folder.glob("parquet/*"):
        path.unlink()
    assert main([*here, "--pairs"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert all(line.startswith("similar-images: ") for line in said)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.similar.similar_images.open_collection", interrupted)
    assert main([*here, "--pairs"]) == 130
    assert capsys.readouterr().err == "\nsimilar-images: interrupted\n"


def test_the_module_is_the_command(made: Made, tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "pipelines.similar.command", "--embeddings", str(made.folder), "--pairs"]
    environment = {**os.environ, "EMBED_IMAGES_CACHE": str(tmp_path / "cache")}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("pairs   ")
    assert [path.name[:8] for path in (tmp_path / "cache").iterdir()] == ["similar-"]
