# PYTHON_ARGCOMPLETE_OK: shells that complete all Python programs look for this word.
"""The entry of `explain-image`: what the pipeline makes of one image, and why."""

import sys

from pipelines.command import answer, collect_seldom, run_command, speak
from pipelines.console.completion import complete_if_asked
from pipelines.options import flags
from pipelines.options.commands.explain import parse, parser

NAME = "explain-image"


def main(argv: list[str] | None = None) -> int:
    """Run `explain-image`; return one of `pipelines.console.exit_codes`."""
    complete_if_asked(parser)
    return run_command(NAME, explain, argv, reads="embed-images")


def explain(argv: list[str]) -> int:
    """Do what a command line says; return the exit code.

    Raises:
      UsageError: something cannot work.
      RunError: this machine computes otherwise than the one that made the collection.
    """
    settings = parse(argv)
    speak(settings)
    if settings.only_prints:
        return answer(settings, parser(), reads=flags.parser())
    collect_seldom()
    # Only now, so that --help and mistakes are answered before Beam is imported.
    from pipelines.explain.explain_image import run

    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
