"""The entry: help, version and mistakes before libraries are imported, one line and an exit code for each end."""

import functools
import json
import pathlib

import pytest

from pipelines.explain.command import main
from pipelines.options.commands.explain import parser
from tests.pipelines.conftest import LIGHT, answer_of
from tests.pipelines.similar.conftest import Made

LIBRARIES = {"apache_beam", "tensorflow", "keras", "pyarrow", "numpy"}

answered = functools.partial(answer_of, "pipelines.explain.command", LIBRARIES)


def test_help_names_every_flag_and_imports_no_library() -> None:
    code, printed, complained, imported = answered("--help", COLUMNS="200")
    assert (code, complained, imported) == (0, "", set())
    for action in parser()._actions:
        assert action.option_strings[-1] in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_the_version_needs_no_image_and_imports_no_library() -> None:
    code, printed, complained, imported = answered("--version")
    assert (code, complained, imported) == (0, "", set())
    assert printed.startswith("explain-image ")


def test_a_mistake_is_one_line_before_a_library_is_imported() -> None:
    code, printed, complained, imported = answered("photo.jpg")
    assert (code, printed, imported) == (2, "", set())
    assert complained.startswith("explain-image: unexpected 'photo.jpg': each value needs its flag, as in --input")
    assert complained.count("\n") == 1


def test_stderr_is_json_where_a_variable_asks_for_it() -> None:
    code, _, complained, _ = answered("--input", "a.zip", EMBED_IMAGES_LOG_FORMAT="json")
    assert code == 2
    assert json.loads(complained)["message"] == "--input a.zip is an archive; unpack it, and name the folder"


def test_each_way_to_end_has_its_exit_code(
    made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--input", str(made.photos / "0.jpg"), *LIGHT]) == 0
    # As of a run of this image alone: all inputs failed.
    assert main(["--input", str(made.photos / "notes.jpg"), *LIGHT]) == 3
    assert capsys.readouterr().err == ""
    assert main(["--input", str(made.photos), *LIGHT]) == 2

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.explain.explain_image.way_of", interrupted)
    assert main(["--input", str(made.photos / "0.jpg"), *LIGHT]) == 130
    assert capsys.readouterr().err.splitlines() == [
        f"explain-image: --input {made.photos} is a folder; name one of its images",
        "",
        "explain-image: interrupted",
    ]


def test_what_it_shows_is_a_file_that_it_takes(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Flags of its own, which no file of runs may hold, are comments."""
    assert main(["--embeddings", "out", "--top", "3", "--show_config", "--max_image_bytes", "9"]) == 0
    shown = capsys.readouterr().out
    assert "# top = 3" in shown
    (tmp_path / "run.toml").write_text(shown)
    assert main(["--config", str(tmp_path / "run.toml"), "--show_config"]) == 0
    assert "\nmax_image_bytes = 9 " in capsys.readouterr().out


def test_mistakes_are_told_in_the_form_of_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EMBED_IMAGES_LOG_FORMAT", "json")
    assert main(["--nope", "1"]) == 2
    assert json.loads(capsys.readouterr().err)["level"] == "error"
