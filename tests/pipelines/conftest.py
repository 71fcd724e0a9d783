"""Small runs, which the tests of plans and launchers share: ten photos, a light backbone, random weights."""

import pathlib

import pytest

from pipelines.options.command_line import parse
from pipelines.options.settings import Settings
from pipelines.plan.plan import Plan, make_plan
from pipelines.plan.runner import Where

LIGHT = ["--weights", "random", "--backbone", "MobileNet", "--image_size", "32"]
"""The flags of a backbone that is loaded in a second or two."""


def settings_of(photos: pathlib.Path | str, output: pathlib.Path | str, *flags: str) -> Settings:
    """Return the settings of a small run."""
    return parse(["--input", str(photos), "--output", str(output), *LIGHT, *flags])[0]


def files_in(folder: pathlib.Path | str) -> list[str]:
    """List the paths of all files below a folder; none where there is no folder."""
    root = pathlib.Path(folder)
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


@pytest.fixture
def settings(photos: pathlib.Path, tmp_path: pathlib.Path) -> Settings:
    """The settings of a small run that may replace another."""
    return settings_of(photos, tmp_path / "out", "--existing=replace")


@pytest.fixture
def plan(settings: Settings) -> Plan:
    """The plan of a small run on this machine."""
    return make_plan(settings, Where())
