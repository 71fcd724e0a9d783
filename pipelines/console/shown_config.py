"""Every setting with where its value comes from, as a file that --config takes."""

import json
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.options.arguments import Parser
from pipelines.options.given import DEFAULT, is_setting
from pipelines.options.settings import Habits
from transforms.core.printable import escaped

COLUMN = 40
"""Column of the origins, which long values push to the right."""


def shown_config(settings: Habits, ours: Parser, beam_args: Sequence[str], reads: Parser) -> Iterator[str]:
    """Yield the lines: TOML, in the order of --help; defaults, and what no file may say, are comments in it.

    Args:
      settings: the settings.
      ours: the parser of the command.
      beam_args: flags for Beam.
      reads: the parser of the command whose files it reads.
    """
    in_file = {action.dest for action in reads._actions} - {"config"}
    for action in ours._actions:
        if is_setting(action):
            name, origin = action.dest, settings.origins[action.dest]
            mark = "# " if origin == DEFAULT or name not in in_file else ""
            line = f"{mark}{name} = {_toml(getattr(settings, name))}".rstrip()
            yield f"{line:<{COLUMN}}  # {origin}"
    if beam_args:
        yield f"# Beam's: {escaped(shlex.join(beam_args))}"


def _toml(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple) and value and isinstance(value[0], int):
        value = "x".join(map(str, value))
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        value = json.dumps(value)
    # What JSON makes of text, numbers, true and false is TOML as well, which asks for more to be escaped.
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)
