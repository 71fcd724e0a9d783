"""What is given for each flag: on the command line, else by a variable, else in a --config file, else by default.

Variables and files are those of `embed-images`, and parsed by its parser, as if each of their values was typed:
--flag=value. A command beside it takes of them what is for its own flags.
"""

import argparse
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pipelines.options.arguments import Parser, a_path, prefix_of
from pipelines.options.config_file import arguments_of_file, is_repeatable
from pipelines.options.flags import PrintsAndEnds, parser
from transforms.core.errors import UsageError, did_you_mean

COMMAND_LINE, ENVIRONMENT, FILE, DEFAULT = "command line", "environment", "file", "default"
"""Where a value comes from."""

PREFIX = prefix_of("embed-images")
"""What the variables of the project begin with, and those of the flags of embed-images: EMBED_IMAGES_BATCH_SIZE."""
NO_FLAGS = ("CACHE", "REWRITES", "IMAGE", "TEST_DATA")
"""Ends of the names of those that are read elsewhere."""
_OF_KUBERNETES = ("SERVICE_", "PORT")
"""Beginnings of those that Kubernetes sets in each pod for a service of a command's name."""


class Given(NamedTuple):
    """What is given.

    Attributes:
      values: of every flag, by its name.
      origins: one of the above for each flag.
      beam_args: flags for Beam.
      command_line: arguments that ask for the same without the variables; a file is named in them.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, str]
    beam_args: list[str]
    command_line: tuple[str, ...]


def given(
    argv: Sequence[str],
    environ: Mapping[str, str],
    parser_of: Callable[[], Parser] = parser,
    read_by: Callable[[], Parser] | None = None,
) -> Given:
    """Return what a command line, the environment and the file that either names give for all flags.

    Args:
      argv: the arguments, without the command.
      environ: the environment.
      parser_of: function that returns the parser of the command's flags.
      read_by: function that returns the parser of the command whose variables and files are read; default: the same.

    Raises:
      UsageError: a value is wrong, or a name is no flag's; the message says where it stands.
    """
    typed, beam_args = _parsed(argv, parser_of())
    values = vars(parser_of().parse_args([]))
    origins = dict.fromkeys(values, DEFAULT)
    read_by = read_by or parser_of
    theirs = read_by()
    known = {action.dest: action for action in theirs._actions if is_setting(action)}
    if any(typed.get(name) for name in ("version", "list_backbones")):
        # They must answer in any environment.
        environ = {}
    found: dict[str, tuple[Any, str]] = {}
    config = a_path(typed.get("config") or environ.get(variable_of("config", theirs.prefix), ""))
    if config:
        in_file = {name: action for name, action in known.items() if name != "config"}
        for name, texts in arguments_of_file(config, in_file, theirs):
            found[name] = _checked(f"--config {config}", texts, read_by())[name], FILE
    from_variables = {name: texts for name, texts in _arguments_of(environ, known, theirs) if name not in typed}
    for name, texts in from_variables.items():
        found[name] = _checked(variable_of(name, theirs.prefix), texts, read_by())[name], ENVIRONMENT
    found |= {name: (value, COMMAND_LINE) for name, value in typed.items()}
    for name in found.keys() & values.keys():
        values[name], origins[name] = found[name]
    command_line = (*(text for texts in from_variables.values() for text in texts), *argv)
    return Given(values, origins, beam_args, command_line)


def peeked(flag: str, argv: Sequence[str], environ: Mapping[str, str], prefix: str = PREFIX) -> str:
    """Return the text that the command line or a variable gives for a flag, unparsed, '' for none: the last one."""
    found = environ.get(variable_of(flag, prefix), "")
    for argument, following in itertools.pairwise((*argv, "")):
        name, is_joined, value = argument.partition("=")
        if name == f"--{flag}":
            found = value if is_joined else following
    return found


def variable_of(flag: str, prefix: str = PREFIX) -> str:
    """Return the name of a flag's variable."""
    return prefix + flag.upper()


def is_setting(action: argparse.Action) -> bool:
    """Whether a flag is more than a question, and so may be given by a variable."""
    return not isinstance(action, argparse._HelpAction | PrintsAndEnds)


def _parsed(argv: Sequence[str], fresh: Parser) -> tuple[dict[str, Any], list[str]]:
    """Return what some arguments give, without any default, and those that are not ours; the parser loses its own."""
    for action in fresh._actions:
        action.default = argparse.SUPPRESS
    parsed, others = fresh.parse_known_args(argv)
    return vars(parsed), others


def _checked(where: str, texts: list[str], fresh: Parser) -> dict[str, Any]:
    try:
        return _parsed(texts, fresh)[0]
    except UsageError as e:
        raise UsageError(f"{where}: {e}") from e


def _arguments_of(
    environ: Mapping[str, str], known: Mapping[str, argparse.Action], ours: Parser
) -> Iterator[tuple[str, list[str]]]:
    """Yield each flag that a variable gives, with its arguments; an empty variable counts as unset."""
    flags = {variable_of(name, ours.prefix): action for name, action in known.items()}
    no_flags = NO_FLAGS if ours.prefix == PREFIX else ()
    for variable in sorted(environ):
        name = variable.removeprefix(ours.prefix)
        if name == variable or name in no_flags or name.startswith(_OF_KUBERNETES):
            continue
        if instead := ours.removed.get(f"--{name.lower()}"):
            raise UsageError(f"{variable}: --{name.lower()} is no longer a flag; use {instead}")
        if variable not in flags:
            # Compared without what all begin with, which would make any two of them alike.
            near = did_you_mean(name, (*map(str.upper, known), *no_flags)).replace("'", f"'{ours.prefix}", 1)
            ours.error(f"unknown variable {variable}{near}")
        if value := environ[variable]:
            action = flags[variable]
            texts = value.split(",") if is_repeatable(action) else [value]
            yield action.dest, [f"--{action.dest}={text.strip()}" for text in texts if text.strip()]
