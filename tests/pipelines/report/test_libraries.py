"""What is not installed is named before any work, with the command that installs it."""

import importlib.util
import pathlib
import tomllib

import pytest

from pipelines.report.libraries import LIBRARIES, check_libraries
from transforms.core.errors import UsageError

PROJECT = pathlib.Path(__file__).parents[3] / "pyproject.toml"


def test_nothing_is_said_where_all_are_installed() -> None:
    check_libraries()


def test_all_that_lack_are_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in ("altair", "sklearn") else found(name))
    with pytest.raises(UsageError, match=r"^the report needs .* pip install altair scikit-learn$"):
        check_libraries()


def test_they_are_those_of_the_extra() -> None:
    extra = tomllib.loads(PROJECT.read_text("utf-8"))["project"]["optional-dependencies"]["report"]
    assert {requirement.partition(">")[0] for requirement in extra} == set(LIBRARIES.values())
