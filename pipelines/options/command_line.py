"""A command line to settings: what is ours is parsed and checked, what is Beam's is passed on, the rest is refused."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from pipelines.options.arguments import Parser
from pipelines.options.flags import NEEDED, parser
from pipelines.options.given import Given, given
from pipelines.options.settings import HowToEmbed, Settings
from pipelines.options.strays import refuse_strays, refuse_unknown
from transforms.core.errors import UsageError, did_you_mean

Reader = TypeVar("Reader")
"""Settings of a command that reads a collection."""


def parse(argv: list[str], environ: Mapping[str, str] = os.environ) -> tuple[Settings, list[str]]:
    """Split a command line into our settings, which the environment and a file add to, and Beam's flags.

    Raises:
      UsageError: an argument is wrong or missing.
    """
    began = time.monotonic()
    found = given_to(parser, argv, environ)
    beam_args = found.beam_args
    settings = Settings.of(found, began)
    if settings.only_prints:
        return settings, beam_args
    for flag in NEEDED:
        value = getattr(settings, flag)
        if not value or not all(value):
            refuse_misspelt(beam_args)
            raise UsageError(f"--{flag} is missing; see embed-images --help")
    if not settings.backbone:
        raise UsageError("--backbone is empty; see --list_backbones")
    if wrong := contradiction(settings):
        raise UsageError(wrong)
    if len(settings.backbone) > 1 and settings.own_weights:
        raise UsageError("a weights file is for one --backbone; give one, or imagenet or random weights")
    if settings.weights_sha256 and not settings.own_weights:
        raise UsageError("--weights_sha256 is for a file; give its path as --weights or --model")
    if settings.resume and settings.existing == "replace":
        raise UsageError("--resume takes over what a run has finished, and --existing replace begins anew; give one")
    if settings.vector_type and "parquet" not in settings.output_format:
        raise UsageError("--vector_type is for --output_format parquet")
    if settings.remove_missing and settings.existing != "update":
        raise UsageError("--remove_missing is for --existing update")
    return settings, beam_args


def contradiction(how: HowToEmbed) -> str:
    """Say what cannot be meant together of what decides an embedding; '' if all can."""
    if how.model:
        # By the values, since a template is given each default, too.
        default = parser().get_default
        for flag in ("backbone", "weights", "backbone_kwargs"):
            if getattr(how, flag) != default(flag):
                return f"--model is a backbone with its weights; drop --{flag}, or --model"
    if how.trust_model and not how.model:
        return "--trust_model is for a --model"
    if how.central_fraction != 1 and how.resize != "crop":
        return f"--central_fraction is for --resize crop, not {how.resize}; drop one of them"
    return ""


def given_to(
    parser_of: Callable[[], Parser],
    argv: Sequence[str],
    environ: Mapping[str, str],
    read_by: Callable[[], Parser] | None = None,
) -> Given:
    """Return what is given to any command, all of it for a flag or for Beam; the arguments are those of `given`.

    Raises:
      UsageError: an argument is wrong, no longer a flag, or a bare value.
    """
    found, ours = given(argv, environ, parser_of, read_by), parser_of()
    for flag, instead in ours.removed.items():
        if any(argument.partition("=")[0] == flag for argument in found.beam_args):
            raise UsageError(f"{flag} is no longer a flag; use {instead}")
    refuse_strays(ours, argv)
    return found


def reader_of(
    settings: Callable[..., Reader], parser_of: Callable[[], Parser], argv: Sequence[str], environ: Mapping[str, str]
) -> Reader:
    """Return the settings that are given to a command that reads a collection, and runs no pipeline.

    Args:
      settings: the class of its settings.
      parser_of: function that returns the parser of its flags.
      argv: the arguments, without the command.
      environ: the environment.

    Raises:
      UsageError: an argument is wrong.
    """
    found = given_to(parser_of, argv, environ)
    for argument in found.beam_args:
        refuse_unknown(parser_of(), argument)
    prefixes = tuple(found.values["allowed_prefix"] or ())
    return settings(**{**found.values, "allowed_prefix": prefixes}, origins=found.origins)


def refuse_misspelt(beam_args: list[str], own: Callable[[], Parser] = parser) -> None:
    """Refuse a flag that nobody knows, where a needed one is missing: it may be that one, misspelt.

    Raises:
      UsageError: there is one.
    """
    if beam_args:
        # A job server has flags of its own, and whether the runner is one is not known here.
        has_runner = any(argument.partition("=")[0] == "--runner" for argument in beam_args)
        check_beam_flags(beam_args, None if has_runner else frozenset(), own)


def check_beam_flags(
    beam_args: list[str], of_server: frozenset[str] | None = frozenset(), own: Callable[[], Parser] = parser
) -> None:
    """Refuse flags that neither a command nor Beam knows.

    Args:
      beam_args: flags for Beam.
      of_server: flags that a job server takes beside Beam's; None if they are not known yet, so that only those that
        look like a mistake are refused.
      own: function that returns the parser of the command's own flags.

    Raises:
      UsageError: a flag is unknown; the message names the nearest.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    ours = own()
    beam = Parser(prog=ours.prog, add_help=False)
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(beam)
    _, unknown = beam.parse_known_args(beam_args)
    known = (*ours.flags, *beam.flags)
    for i, argument in enumerate(unknown):
        flag = argument.partition("=")[0]
        is_value = not flag.startswith("-") and i > 0 and unknown[i - 1].startswith("--") and "=" not in unknown[i - 1]
        if flag in (of_server or ()) or is_value:
            continue
        if of_server is None and flag.startswith("--") and not did_you_mean(flag, known):
            continue
        refuse_unknown(ours, argument, beam.flags)
