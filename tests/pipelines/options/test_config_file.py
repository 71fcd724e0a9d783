"""A --config file: its values become what would be typed, and what cannot is refused with its key."""

import pathlib

import pytest

from pipelines.options.config_file import arguments_of_file
from pipelines.options.flags import parser
from transforms.core.errors import UsageError

KNOWN = {action.dest: action for action in parser()._actions}


def typed(folder: pathlib.Path, text: str) -> list[str]:
    """Return the arguments of a file with this text."""
    path = folder / "run.toml"
    path.write_text(text)
    return [text for _, texts in arguments_of_file(str(path), KNOWN, parser()) for text in texts]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", []),
        ("batch_size = 32", ["--batch_size=32"]),
        ("max_failure_ratio = 0.01", ["--max_failure_ratio=0.01"]),
        ("normalize = true", ["--normalize=true"]),
        ('layer = "a, b"', ["--layer=a, b"]),
        ('input = "a, b"', ["--input=a", "--input=b"]),
        ('input = ["a, b", "c"]', ["--input=a, b", "--input=c"]),
        ("input = []", []),
        ('backbone = ["VGG16", "VGG19"]', ["--backbone=VGG16,VGG19"]),
        ("backbone_kwargs = {alpha = 0.25, shallow = false}", ['--backbone_kwargs={"alpha": 0.25, "shallow": false}']),
        ("[backbone_kwargs]\nalpha = 1", ['--backbone_kwargs={"alpha": 1}']),
    ],
)
def test_values_become_arguments(text: str, arguments: list[str], tmp_path: pathlib.Path) -> None:
    assert typed(tmp_path, text) == arguments


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bach_size = 1", "unknown key 'bach_size' (did you mean 'batch_size'?); see embed-images --help"),
        ("batch_size = 2026-11-29", "batch_size must be text, a number, true, false or an array of those, is "),
        ("input = [[]]", "input must be text"),
        ("[layer]", "layer must be text"),
        ("overwrite = true", "overwrite is no longer a flag; use --existing replace"),
        ("batch_size = x", "Invalid value (at line 1, column 14)"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(text: str, says: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(UsageError) as refused:
        typed(tmp_path, text)
    assert f"--config {tmp_path}/run.toml: {says}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_told(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read --config .*none.toml"):
        list(arguments_of_file(str(tmp_path / "none.toml"), KNOWN, parser()))
    (tmp_path / "image.toml").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UsageError, match="cannot read --config"):
        list(arguments_of_file(str(tmp_path / "image.toml"), KNOWN, parser()))
