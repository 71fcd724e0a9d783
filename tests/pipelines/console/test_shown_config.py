"""--show_config: a file that asks for the same run, with where each value comes from."""

import dataclasses
import pathlib
import tempfile
import tomllib

import pytest
from hypothesis import given

from pipelines.command import main
from pipelines.console.shown_config import shown_config
from pipelines.options.command_line import parse
from pipelines.options.flags import PrintsAndEnds, parser
from tests.properties.test_retry_flags import given_flags


@given(given_flags())
def test_what_is_shown_is_a_file_that_asks_for_the_same(flags: list[tuple[str, list[str]]]) -> None:
    asked, beam_args = parse([argument for _, arguments in flags for argument in arguments], {})
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "run.toml"
        path.write_text("\n".join(shown_config(asked, parser(), beam_args, parser())), encoding="utf-8")
        again, _ = parse(["--config", str(path)], {})
    own = {"command_line", "began", "origins", "config"}
    for field in dataclasses.fields(asked):
        assert field.name in own or getattr(again, field.name) == getattr(asked, field.name), field.name


def test_each_setting_has_a_line_with_its_origin(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.toml").write_text("top_k = 3\nbatch_size = 1\nimage_size = 32")
    monkeypatch.setenv("EMBED_IMAGES_BATCH_SIZE", "2")
    monkeypatch.setenv("EMBED_IMAGES_IMAGE_SIZE", "64")
    flags = ["--config", str(tmp_path / "run.toml"), "--image_size", "96x128", "--region=here", "--show_config"]
    # No input is needed for it.
    assert main(flags) == 0
    lines = capsys.readouterr().out.splitlines()
    said = dict(line.split("  # ") for line in lines[:-1])
    said = {left.strip(): origin for left, origin in said.items()}
    assert said["top_k = 3"] == "file"
    assert said["batch_size = 2"] == "environment"
    assert said['image_size = "96x128"'] == "command line"
    assert said["# num_shards ="] == "default"
    assert lines[-1] == "# Beam's: --region=here"
    names = {left.removeprefix("# ").partition(" =")[0] for left in said}
    prints = {action.dest for action in parser()._actions if isinstance(action, PrintsAndEnds)}
    assert names == {action.dest for action in parser()._actions} - prints - {"help"}
    assert set(said.values()) == {"command line", "environment", "file", "default"}


def test_secrets_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--input", "https://me:secret@host/a.jpg?sig=secret", "--show_config"]) == 0
    printed = capsys.readouterr().out
    assert "secret" not in printed
    assert tomllib.loads(printed)["input"] == ["https://***@host/a.jpg?sig=***"]
