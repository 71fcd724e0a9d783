"""What tests of the pipelines share: small runs, of ten photos and a light backbone, and the answers of commands."""

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterable

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


def answer_of(module: str, libraries: Iterable[str], *flags: str, **variables: str) -> tuple[int, str, str, set[str]]:
    """Run a command by itself: exit code, stdout, stderr, and which of the libraries were imported.

    Args:
      module: the module of its `main`.
      libraries: names of libraries.
      flags: what it is given.
      variables: what its environment has beside that of the tests.
    """
    code = (
        f"import sys\nfrom {module} import main\n"
        "try: rc = main()\nexcept SystemExit as e: rc = e.code\n"
        f"print(*sorted({set(libraries)} & set(sys.modules)))\nsys.exit(rc)"
    )
    command = [sys.executable, "-c", code, *flags]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables})
    *printed, imported = result.stdout.splitlines()
    return result.returncode, "\n".join(printed), result.stderr, set(imported.split())


@pytest.fixture
def settings(photos: pathlib.Path, tmp_path: pathlib.Path) -> Settings:
    """The settings of a small run that may replace another."""
    return settings_of(photos, tmp_path / "out", "--existing=replace")


@pytest.fixture
def plan(settings: Settings) -> Plan:
    """The plan of a small run on this machine."""
    return make_plan(settings, Where())
