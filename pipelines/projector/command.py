# PYTHON_ARGCOMPLETE_OK: shells that complete all Python programs look for this word.
"""The entry of `projector-files`: a collection as TensorBoard's embedding projector shows it."""

import sys

from pipelines.command import answer, collect_seldom, run_command, speak
from pipelines.console.completion import complete_if_asked
from pipelines.options.commands.projector import parse, parser

NAME = "projector-files"


def main(argv: list[str] | None = None) -> int:
    """Run `projector-files`; return one of `pipelines.console.exit_codes`."""
    complete_if_asked(parser)
    return run_command(NAME, write_files, argv)


def write_files(argv: list[str]) -> int:
    """Do what a command line says; return the exit code.

    Raises:
      UsageError: something cannot work.
      RunError: the work began and failed.
    """
    settings = parse(argv)
    speak(settings)
    if settings.only_prints:
        return answer(settings, parser())
    collect_seldom()
    # Only now, so that --help and mistakes are answered before Beam is imported.
    from pipelines.projector.projector_files import run

    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
