"""Bare values that no flag takes: a path with blanks or a glob that was not quoted, or several after one --input."""

import argparse
import shlex
from collections.abc import Iterator, Sequence

QUOTED = 4
"""Words up to which a value is shown as it would be quoted; more are what a shell made of a glob."""


def refuse_strays(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Refuse a bare value before the first flag, or behind the value of one of the parser's flags.

    What stands behind another program's flag is left to that program.

    Raises:
      UsageError: the line says what to type.
    """
    for flag, *values in _with_values(argv):
        action = parser._option_string_actions.get(flag)
        if not flag and values:
            first = next(one for one in parser._option_string_actions if one not in ("-h", "--help"))
            parser.error(f"unexpected {values[0]!r}: each value needs its flag, as in {first} {shlex.quote(values[0])}")
        if action and len(values) > 1:
            whole = shlex.quote(" ".join(values if len(values) <= QUOTED else values[:2]))
            again = f", or repeat {flag} before each" if isinstance(action, argparse._AppendAction) else ""
            parser.error(
                f"unexpected {values[1]!r} after {flag} {values[0]}: quote what has blanks or is a glob, as in "
                f"{flag} {whole}{again}"
            )


def _with_values(argv: Sequence[str]) -> Iterator[list[str]]:
    """Yield each flag with the values behind it; first '' with those before all flags."""
    found = [""]
    for argument in argv:
        if argument.startswith("-"):
            yield found
            flag, is_joined, value = argument.partition("=")
            found = [flag, value] if is_joined else [flag]
        else:
            found.append(argument)
    yield found
