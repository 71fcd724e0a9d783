# PYTHON_ARGCOMPLETE_OK: shells that complete all Python programs look for this word.
"""The entry of `report-images`: a page about a collection."""

import sys

from pipelines.command import answer, collect_seldom, run_command, speak
from pipelines.console.completion import complete_if_asked
from pipelines.options.commands.report import parse, parser

NAME = "report-images"


def main(argv: list[str] | None = None) -> int:
    """Run `report-images`; return one of `pipelines.console.exit_codes`."""
    complete_if_asked(parser)
    return run_command(NAME, report_images, argv)


def report_images(argv: list[str]) -> int:
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
    from pipelines.report.libraries import check_libraries

    check_libraries()
    # Only now, so that --help and mistakes are answered before Beam is imported.
    from pipelines.report.report_images import run

    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
