"""What `--help` says first, and that it fits a terminal."""

import shlex

import pytest

from pipelines.options import flags
from pipelines.options.arguments import Parser
from pipelines.options.command_line import parse
from pipelines.options.commands import report, similar
from pipelines.options.flags import parser
from pipelines.options.help import EXAMPLES, SUMMARY


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("ours", [flags.parser(), similar.parser(), report.parser()], ids=lambda ours: ours.prog)
def test_every_line_fits(ours: Parser, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = [line for line in ours.format_help().splitlines() if line not in EXAMPLES]
    assert max(map(len, lines)) <= 80
    assert max(map(len, EXAMPLES.splitlines())) <= 80


def test_a_short_usage_and_three_examples_come_first() -> None:
    usage, summary, examples, *_ = parser().format_help().split("\n\n")
    assert usage == "usage: embed-images --input PATH --output FOLDER [--FLAG VALUE ...]"
    assert " ".join(summary.split()) == SUMMARY
    assert examples == EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES.splitlines()[1:])
def test_an_example_is_a_command(example: str) -> None:
    command, *argv = shlex.split(example)
    settings, beam_args = parse(argv)
    assert (command, beam_args) == ("embed-images", [])
    assert settings.input
