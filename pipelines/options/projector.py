"""Every flag of `projector-files`; those that it shares with `embed-images` are declared there."""

import dataclasses
from typing import Any

from pipelines.options.arguments import Parser, a_path, some_points
from pipelines.options.flags import SWITCH, add_limits, add_logs, add_version
from pipelines.options.settings import Limits, Logs
from pipelines.options.strays import refuse_strays
from transforms.core.errors import did_you_mean

LIMIT = 10_000
"""Default of --limit: the projector's t-SNE takes no more."""


@dataclasses.dataclass(frozen=True)
class Settings(Limits, Logs):
    """What a person asked for; each field is the flag of its name, explained by its help."""

    embeddings: str
    out: str
    limit: int
    no_pictures: bool
    version: bool


def parser() -> Parser:
    """Return the parser of all flags."""
    p = Parser(
        prog="projector-files",
        description="Write the files that TensorBoard's embedding projector shows a collection from: vectors of length "
        "1, the uri and the carried columns of each image, and its picture.",
        epilog="To look at them: tensorboard --logdir FOLDER",
        allow_abbrev=False,
    )
    add = p.add_argument_group("what to show").add_argument
    add(
        "--embeddings",
        type=a_path,
        metavar="FOLDER",
        help="the collection: an --output of embed-images, local or gs://",
    )
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
    add = p.add_argument_group("the command").add_argument
    add_logs(add)
    add_version(add)
    return p


def parse(argv: list[str]) -> Settings:
    """Return the settings that a command line gives.

    Raises:
      UsageError: an argument is wrong or missing.
    """
    p = parser()
    parsed, unknown = p.parse_known_args(argv)
    refuse_strays(p, argv)
    if unknown:
        flag = unknown[0].partition("=")[0]
        p.error(f"unknown flag {flag}{did_you_mean(flag, p._option_string_actions)}")
    values: dict[str, Any] = vars(parsed)
    settings = Settings(**{**values, "allowed_prefix": tuple(values["allowed_prefix"] or ())})
    if not settings.version:
        for flag in ("embeddings", "out"):
            if not values[flag]:
                p.error(f"--{flag} is missing")
    return settings
