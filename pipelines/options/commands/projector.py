"""Every flag of `projector-files`; those that it shares with `embed-images` are declared there."""

import dataclasses
import os
from collections.abc import Mapping

from pipelines.options.arguments import Parser, a_path, some_points
from pipelines.options.command_line import reader_of
from pipelines.options.commands.similar import add_embeddings
from pipelines.options.flags import SWITCH, add_habits, add_limits
from pipelines.options.help import HelpFormatter
from pipelines.options.settings import Habits, Limits

LIMIT = 10_000
"""Default of --limit: the projector's t-SNE takes no more."""


@dataclasses.dataclass(frozen=True)
class Settings(Limits, Habits):
    """What a person asked for; each field but `origins` is the flag of its name, explained by its help."""

    embeddings: str
    out: str
    limit: int
    no_pictures: bool


def parser() -> Parser:
    """Return the parser of all flags."""
    p = Parser(
        prog="projector-files",
        description="Write the files that TensorBoard's embedding projector shows a collection from: vectors of length "
        "1, the uri and the carried columns of each image, and its picture.",
        epilog="To look at them: tensorboard --logdir FOLDER",
        formatter_class=HelpFormatter,
    )
    add = p.add_argument_group("what to show").add_argument
    add_embeddings(add)
    add("--out", type=a_path, metavar="FOLDER", help="folder for the files, local or gs://; they are replaced")
    add(
        "--limit",
        type=some_points,
        default=LIMIT,
        metavar="N",
        help=f"how many images at most: of more, a random sample, the same each time (default {LIMIT})",
    )
    add("--no_pictures", **SWITCH, help="show each image as a dot, and fetch none")
    add_limits(p.add_argument_group("fetching and decoding").add_argument)
    add_habits(p.add_argument_group("the command").add_argument)
    return p


def parse(argv: list[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that a command line gives, and the environment and a file add to.

    Raises:
      UsageError: an argument is wrong or missing.
    """
    settings, p = reader_of(Settings, parser, argv, environ), parser()
    for flag in () if settings.only_prints else ("embeddings", "out"):
        if not getattr(settings, flag):
            p.error(f"--{flag} is missing")
    return settings
