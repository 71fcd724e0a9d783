# PYTHON_ARGCOMPLETE_OK: shells that complete all Python programs look for this word.
"""The entry of `projector-files`: a collection as TensorBoard's embedding projector shows it."""

import sys

import transforms
from pipelines.command import collect_seldom, run_command, speak
from pipelines.console.completion import complete_if_asked
from pipelines.console.exit_codes import DONE
from pipelines.console.lines import say
from pipelines.options.projector import parse, parser

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
    if settings.version:
        say(f"{NAME} {transforms.__version__}")
        return DONE
    collect_seldom()
    # Only now, so that --help and mistakes are answered before Beam is imported.
    from pipelines.projector.projector_files import run

    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
