"""Every flag of `similar-images`; those that it shares with `embed-images` are declared there."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from pipelines.options.arguments import Parser, a_cosine, a_count, a_path
from pipelines.options.command_line import given_to, refuse_misspelt
from pipelines.options.flags import SWITCH, add_engine, add_habits, add_limits
from pipelines.options.help import HelpFormatter
from pipelines.options.settings import Habits, Limits

TOP, ABOVE = 10, 0.95
"""Defaults of --top and --above."""
TABLES = (".parquet", ".jsonl")
PAGE = ".html"
"""Suffixes of what --out can name."""


@dataclasses.dataclass(frozen=True)
class Settings(Limits, Habits):
    """What a person asked for; each field but `origins` is the flag of its name, explained by its help."""

    embeddings: str
    to: tuple[str, ...]
    top: int | None
    pairs: bool
    above: float | None
    out: str
    weights: str
    trust_model: bool
    engine: str


def parser() -> Parser:
    """Return the parser of all flags."""
    p = Parser(
        prog="similar-images",
        usage="similar-images --embeddings FOLDER (--to IMAGE | --pairs) [--FLAG VALUE]",
        description="Find the images of a collection that resemble a photo, or each other, by the cosine of their "
        "embeddings. All are compared: nothing is approximate.",
        epilog="With --pairs, Beam's own flags (--runner, ...) pass through, and its workers share the work.",
        formatter_class=HelpFormatter,
    )
    add = p.add_argument_group("what to find").add_argument
    add_embeddings(add)
    add(
        "--to",
        action="append",
        type=a_path,
        metavar="IMAGE",
        help="print the images that are nearest to this one: a uri of the collection, or a photo, which is embedded as "
        "the collection was; repeatable",
    )
    add("--top", type=a_count, metavar="N", help=f"how many images for each --to (default {TOP})")
    add("--pairs", **SWITCH, help="find all pairs of near-duplicates, and print the groups that they form")
    add("--above", type=a_cosine, metavar="COSINE", help=f"least cosine of a pair, -1 to 1 (default {ABOVE})")
    add(
        "--out",
        type=a_path,
        default="",
        metavar="FILE",
        help=f"also write what is found to this file, which is replaced: {', '.join(TABLES)}, or for --to a page of "
        f"pictures, {PAGE}",
    )
    add = p.add_argument_group("embedding a photo").add_argument
    add(
        "--weights",
        "--model",
        type=a_path,
        default="",
        metavar="PATH",
        help="the weights of the collection, or its whole model, if they are a user's own",
    )
    add("--trust_model", **SWITCH, help="accept a SavedModel, a program that can do anything")
    add_engine(add)
    add_limits(p.add_argument_group("fetching and decoding").add_argument)
    add_habits(p.add_argument_group("the command").add_argument)
    return p


def add_embeddings(add: Any) -> None:
    """Add the flag that names a collection, which every command has that reads one."""
    add(
        "--embeddings",
        type=a_path,
        default="",
        metavar="FOLDER",
        help="the collection: an --output of embed-images, local or gs://",
    )


def parse(argv: list[str], environ: Mapping[str, str] = os.environ) -> tuple[Settings, list[str]]:
    """Split a command line into our settings, which the environment and a file add to, and Beam's flags.

    Raises:
      UsageError: an argument is wrong or missing.
    """
    found = given_to(parser, argv, environ)
    repeatable = {flag: tuple(found.values[flag] or ()) for flag in ("to", "allowed_prefix")}
    settings = Settings(**{**found.values, **repeatable}, origins=found.origins)
    wrong = "" if settings.only_prints else _contradiction(settings)
    if wrong:
        refuse_misspelt(found.beam_args, parser)
        parser().error(wrong)
    return settings, found.beam_args


def _contradiction(settings: Settings) -> str:
    """Say what is missing, or cannot be meant together; '' if nothing is."""
    if not settings.embeddings:
        return "--embeddings is missing"
    if bool(settings.to) == settings.pairs:
        return (
            "--to and --pairs ask for different things; give one of them" if settings.pairs else "give --to or --pairs"
        )
    if settings.pairs and settings.top:
        return "--top is for --to"
    if settings.to and settings.above is not None:
        return "--above is for --pairs"
    suffixes = TABLES if settings.pairs else (*TABLES, PAGE)
    if settings.out and os.path.splitext(settings.out)[1].lower() not in suffixes:
        return f"--out {settings.out} must end in {', '.join(suffixes)}"
    return ""
