"""Every flag of `report-images`; those that it shares with its siblings are declared there."""

import dataclasses
import os
from collections.abc import Mapping

from pipelines.options.arguments import Parser, a_cosine, a_path
from pipelines.options.command_line import reader_of
from pipelines.options.commands.similar import ABOVE, PAGE, add_embeddings
from pipelines.options.flags import add_habits, add_limits
from pipelines.options.help import HelpFormatter
from pipelines.options.settings import Habits, Limits

OUT = "report.html"
"""Default of --out."""


@dataclasses.dataclass(frozen=True)
class Settings(Limits, Habits):
    """What a person asked for; each field but `origins` is the flag of its name, explained by its help."""

    embeddings: str
    out: str
    above: float


def parser() -> Parser:
    """Return the parser of all flags."""
    p = Parser(
        prog="report-images",
        usage="report-images --embeddings FOLDER [--FLAG VALUE ...]",
        description="Write a page about a collection: what its last run did, what changed, a map of its images, "
        "near-duplicates, odd ones out.",
        epilog="The page is one file below 20 MB, which loads nothing.",
        formatter_class=HelpFormatter,
    )
    add = p.add_argument_group("what to report").add_argument
    add_embeddings(add)
    add(
        "--out",
        type=a_path,
        default=OUT,
        metavar="FILE",
        help=f"the page, {PAGE}, local or gs://, which is replaced (default {OUT})",
    )
    add(
        "--above",
        type=a_cosine,
        default=ABOVE,
        metavar="COSINE",
        help=f"least cosine of near-duplicates, -1 to 1 (default {ABOVE})",
    )
    add_limits(p.add_argument_group("fetching and decoding the pictures that it shows").add_argument)
    add_habits(p.add_argument_group("the command").add_argument)
    return p


def parse(argv: list[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that a command line gives, and the environment and a file add to.

    Raises:
      UsageError: an argument is wrong or missing.
    """
    settings, p = reader_of(Settings, parser, argv, environ), parser()
    if settings.only_prints:
        return settings
    if not settings.embeddings:
        p.error("--embeddings is missing")
    if not settings.out.lower().endswith(PAGE):
        p.error(f"--out {settings.out} must end in {PAGE}")
    return settings
