# PYTHON_ARGCOMPLETE_OK: shells that complete all Python programs look for this word.
"""The entry of `similar-images`: which images of a collection resemble a photo, or each other."""

import sys

from pipelines.command import answer, collect_seldom, run_command, speak
from pipelines.console.completion import complete_if_asked
from pipelines.options.commands.similar import parse, parser

NAME = "similar-images"


def main(argv: list[str] | None = None) -> int:
    """Run `similar-images`; return one of `pipelines.console.exit_codes`."""
    complete_if_asked(parser)
    return run_command(NAME, find_similar, argv)


def find_similar(argv: list[str]) -> int:
    """Do what a command line says; return the exit code.

    Raises:
      UsageError: something cannot work.
      RunError: the work began and failed.
    """
    settings, beam_args = parse(argv)
    speak(settings)
    if settings.only_prints:
        return answer(settings, parser(), beam_args)
    collect_seldom()
    # Only now, so that --help and mistakes are answered before Beam is imported.
    from pipelines.similar.similar_images import run

    return run(settings, beam_args)


if __name__ == "__main__":
    sys.exit(main())
