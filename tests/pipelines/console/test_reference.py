"""The docs that are written from the code, and README's promises about them."""

import pathlib
import re

from pipelines.console.reference import reference
from pipelines.options.flags import parser

ROOT = pathlib.Path(__file__).parents[3]


def test_the_reference_is_what_the_code_says() -> None:
    assert (ROOT / "docs" / "reference.md").read_text(encoding="utf-8") == reference(), (
        "run: python -m pipelines.console.reference > docs/reference.md"
    )


def test_readme_names_only_flags_that_exist() -> None:
    known = {option for action in parser()._actions for option in action.option_strings} | {
        "--runner",
        "--project",
        "--region",
        "--temp_location",
    }
    assert set(re.findall(r"--[a-z_0-9]+", (ROOT / "README.md").read_text(encoding="utf-8"))) <= known
