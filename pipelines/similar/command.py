"""The entry of `similar-images`: which images of a collection resemble a photo, or each other."""

import sys

from pipelines.command import collect_seldom, run_command, speak
from pipelines.options.similar import parse

NAME = "similar-images"


def main(argv: list[str] | None = None) -> int:
    """Run `similar-images`; return one of `pipelines.console.exit_codes`."""
    return run_command(NAME, find_similar, argv)


def find_similar(argv: list[str]) -> int:
    """Do what a command line says; return the exit code.

    Raises:
      UsageError: something cannot work.
      RunError: the work began and failed.
    """
    settings, beam_args = parse(argv)
    speak(settings)
    collect_seldom()
    # Only now, so that --help and mistakes are answered before Beam is imported.
    from pipelines.similar.similar_images import run

    return run(settings, beam_args)


if __name__ == "__main__":
    sys.exit(main())
