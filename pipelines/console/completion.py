"""Completion of the command line in shells, by argcomplete, if it is installed and a shell asks.

eval "$(register-python-argcomplete embed-images)"
"""

import argparse
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pipelines.options import arguments
from pipelines.options.arguments import Parser
from pipelines.options.flags import parser
from pipelines.options.gpus import GPUS
from transforms.backbones import catalog_rows

Completer = Callable[..., Iterable[str]]

VALUES: Mapping[Any, Iterable[str]] = {
    arguments.yes_or_no: ("true", "false"),
    arguments.a_gpu: GPUS,
    arguments.some_formats: arguments.FORMATS,
}
"""What a flag may be given, by the function that parses it."""
PATHS = (arguments.a_path, arguments.some_prefixes)


def complete_if_asked(of: Callable[[], Parser] = parser) -> None:
    """Answer a shell that asks what may come next, and end the process; else do nothing.

    Args:
      of: function that returns the parser of the command's flags.
    """
    if "_ARGCOMPLETE" not in os.environ:
        return
    import argcomplete

    completed = of()
    for action in completed._actions:
        if not action.choices and action.type not in PATHS:
            action.completer = completer_of(action)  # type: ignore[attr-defined]
    argcomplete.autocomplete(completed)


def completer_of(action: argparse.Action) -> Completer:
    """Return what completes the values of a flag that takes no path: one of several that commas separate."""
    values = catalog_rows() if action.dest == "backbone" else VALUES.get(action.type, ())

    def complete(prefix: str, **_other: Any) -> Iterable[str]:
        head, comma, _tail = prefix.rpartition(",")
        return [f"{head}{comma}{value}" for value in values]

    return complete
