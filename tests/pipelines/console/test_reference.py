"""The page that is written from the code: all of the code's, and the one in the docs."""

import argparse
import os
import pathlib
import re
import subprocess
import sys

from pipelines.console.exit_codes import EXIT_CODES
from pipelines.console.reference import VARIABLES, reference
from pipelines.options.commands import explain, projector, report, similar
from pipelines.options.flags import parser
from pipelines.options.given import PREFIX, variable_of
from transforms.backbones import catalog_rows
from transforms.core.failures import REASONS

ROOT = pathlib.Path(__file__).parents[3]


def actions() -> list[argparse.Action]:
    """All flags that have a row of their own: those that explain-image shares with a run have one there."""
    shared = {action.dest for action in parser()._actions} - {"input"}
    own = [action for action in explain.parser()._actions if action.dest not in shared]
    return [
        *(
            action
            for one in (parser(), similar.parser(), report.parser(), projector.parser())
            for action in one._actions
        ),
        *own,
    ]


def test_the_reference_is_what_the_code_says() -> None:
    assert (ROOT / "docs" / "reference.md").read_text(encoding="utf-8") == reference(), (
        "run: python -m pipelines.console.reference > docs/reference.md"
    )


def test_readme_names_only_flags_that_exist() -> None:
    known = {option for action in actions() for option in action.option_strings} | {
        "--runner",
        "--project",
        "--region",
        "--temp_location",
    }
    assert set(re.findall(r"--[a-z_0-9]+", (ROOT / "README.md").read_text(encoding="utf-8"))) <= known


def test_every_flag_code_reason_variable_and_backbone_has_its_row() -> None:
    rows = [line.split(" | ")[0].removeprefix("| ") for line in reference().splitlines() if line.startswith("| ")]
    flags = [action.option_strings[0] for action in actions() if "--help" not in action.option_strings]
    named = [re.split(r"[` =\[]", row.removeprefix("`"))[0] for row in rows if row.startswith("`--")]
    assert sorted(named) == sorted(flags)
    for name in (*VARIABLES, *REASONS):
        assert f"`{name}`" in rows
    for name in (*map(str, EXIT_CODES), *catalog_rows()):
        assert name in rows


def test_a_pipe_in_a_cell_splits_no_row() -> None:
    for line in reference().splitlines():
        if line.startswith("| `--"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 3, line


def test_every_variable_of_ours_that_the_code_reads_is_explained() -> None:
    own = {
        name
        for folder in ("pipelines", "transforms")
        for path in (ROOT / folder).rglob("*.py")
        for name in re.findall(r'"(EMBED_IMAGES_[A-Z]+)"', path.read_text(encoding="utf-8"))
    }
    assert own == {name for name in VARIABLES if name.startswith(PREFIX)} - {variable_of("flag")}


def test_the_module_prints_the_page() -> None:
    command = [sys.executable, "-m", "pipelines.console.reference"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "40"})
    assert printed.stdout == reference()
