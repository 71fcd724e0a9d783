"""Every flag of `explain-image`; those that decide an embedding are the ones of `embed-images`, and declared there."""

import dataclasses
import os
from collections.abc import Mapping

from pipelines.options import flags
from pipelines.options.arguments import Parser, a_count, a_path
from pipelines.options.command_line import contradiction, given_to
from pipelines.options.commands.similar import TOP
from pipelines.options.flags import add_backbone, add_habits, add_images, add_limits
from pipelines.options.given import COMMAND_LINE, DEFAULT, Given
from pipelines.options.help import HelpFormatter
from pipelines.options.settings import Habits, HowToEmbed, Limits
from pipelines.options.strays import refuse_unknown

PICTURE = ".png"
"""Suffix of what --out names."""

BESIDE_A_COLLECTION = ("weights", "model", "engine", "trust_model", "require_gpu")
"""Of the flags that say how to embed, those that a collection's spec leaves open."""

USAGE = "explain-image --input IMAGE [--FLAG VALUE ...]"
SUMMARY = (
    "Take one image through the very code of a worker, and say what each stage makes of it: time, decisions, sizes, "
    "the vector, or why the image fails."
)
EXAMPLES = """\
examples:
  explain-image --input photos/1.jpg
  explain-image --input gs://bucket/1.jpg --backbone VGG16 --out seen.png
  explain-image --input photos/1.jpg --embeddings embeddings/"""
EPILOG = "Variables and --config files of embed-images count here as well, but for the images that they name."


@dataclasses.dataclass(frozen=True)
class Settings(HowToEmbed, Limits, Habits):
    """What a person asked for; each field but `origins` is the flag of its name, explained by its help."""

    input: str
    embeddings: str
    top: int
    out: str


def parser() -> Parser:
    """Return the parser of all flags."""
    p = Parser(
        prog="explain-image",
        usage=USAGE,
        description=f"{SUMMARY}\n\n{EXAMPLES}",
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    add = p.add_argument_group("what to explain").add_argument
    add("--input", action="append", type=a_path, metavar="IMAGE", help="the image: a file, or a uri of a list")
    add(
        "--embeddings",
        type=a_path,
        default="",
        metavar="FOLDER",
        help="embed as this collection was, and compare with what stands there: the image's row or failure, and the "
        "nearest rows",
    )
    add("--top", type=a_count, default=TOP, metavar="N", help=f"how many of the nearest rows (default {TOP})")
    add(
        "--out",
        type=a_path,
        default="",
        metavar="FILE",
        help=f"write the picture that the backbone sees to this file, {PICTURE}, which is replaced",
    )
    add_backbone(p.add_argument_group("the backbone").add_argument)
    images = p.add_argument_group("fetching and decoding").add_argument
    add_images(images)
    add_limits(images)
    add_habits(p.add_argument_group("the command").add_argument)
    return p


def parse(argv: list[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that a command line, the environment and a file give.

    Raises:
      UsageError: an argument is wrong or missing.
    """
    found, p = given_to(parser, argv, environ, flags.parser), parser()
    for argument in found.beam_args:
        refuse_unknown(p, argument)
    inputs = found.values["input"] if found.origins["input"] == COMMAND_LINE else None
    repeatable = {"input": (inputs or [""])[0], "allowed_prefix": tuple(found.values["allowed_prefix"] or ())}
    settings = Settings(**{**found.values, **repeatable}, origins=found.origins)
    if settings.only_prints:
        return settings
    wrong = _contradiction(found, inputs or [])
    if not settings.embeddings:
        wrong = wrong or contradiction(settings)
    if wrong:
        p.error(wrong)
    return settings


def _contradiction(found: Given, inputs: list[str]) -> str:
    """Say what is missing, or cannot be meant together; '' if nothing is."""
    values = found.values
    if not any(inputs):
        return "--input is missing"
    if len(inputs) > 1:
        return f"--input {inputs[1]} is a second image; explain one at a time"
    if values["out"] and not values["out"].lower().endswith(PICTURE):
        return f"--out {values['out']} must end in {PICTURE}"
    if not values["embeddings"]:
        if len(values["backbone"]) != 1:
            return "explain one --backbone at a time"
        return "" if found.origins["top"] == DEFAULT else "--top is for --embeddings"
    if COMMAND_LINE == found.origins["model"] == found.origins["weights"]:
        return "--weights and --model are two ways to name one file; give one"
    decided = [
        field.name
        for field in dataclasses.fields(HowToEmbed)
        if found.origins[field.name] == COMMAND_LINE and field.name not in BESIDE_A_COLLECTION
    ]
    return f"--{decided[0]} is decided by the collection in --embeddings; drop one of them" if decided else ""
