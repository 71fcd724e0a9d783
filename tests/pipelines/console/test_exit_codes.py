"""The exit codes: numbers that scripts rely on, each with its meaning."""

import pytest

from pipelines.console import exit_codes
from pipelines.console.exit_codes import EXIT_CODES


@pytest.mark.parametrize(
    ("name", "code"), [("DONE", 0), ("RUN_FAILED", 1), ("USAGE", 2), ("OVER_BUDGET", 3), ("INTERRUPTED", 130)]
)
def test_each_code_is_the_number_that_it_always_was(name: str, code: int) -> None:
    assert getattr(exit_codes, name) == code


def test_each_code_has_one_meaning_in_one_line() -> None:
    codes = [value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)]
    assert sorted(EXIT_CODES) == sorted(codes) == [0, 1, 2, 3, 130]
    assert len(set(EXIT_CODES.values())) == 5
    assert not any("\n" in meaning or not meaning for meaning in EXIT_CODES.values())
