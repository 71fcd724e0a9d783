"""Every flag of `embed-images`, declared once: help, type, default and check; all else is generated from here.

Importing this imports neither Beam nor TensorFlow, so that `--help` answers at once.
"""

import argparse
import time
from typing import Any

from pipelines.launch.dataflow.machines import GPUS
from pipelines.options.arguments import (
    Parser,
    a_count,
    a_gpu,
    a_ratio,
    a_size,
    an_object,
    seconds,
    some_formats,
    some_names,
    yes_or_no,
)
from transforms.core.errors import UsageError, did_you_mean

RESIZES = ("crop", "stretch", "pad")
NEEDED = ("input", "output")
"""What a run cannot do without; the parser does not ask for it, since --list_backbones can."""


class CommandOnly(argparse._StoreAction):
    """A switch for a person at a terminal: a template, which nobody watches, has no such parameter."""


def parser() -> Parser:
    """Return the parser of all flags."""
    p = Parser(
        prog="embed-images",
        description="Embed images with a Keras backbone, into Parquet or TFRecord: one outcome for every input.",
        epilog="Beam's own flags (--runner, --region, ...) pass through; the default runner uses this machine.",
        allow_abbrev=False,
    )
    switch: dict[str, Any] = {"type": yes_or_no, "nargs": "?", "const": True, "default": False, "metavar": "true|false"}
    _add_data(p.add_argument_group("what goes in and out").add_argument, switch)
    _add_backbone(p.add_argument_group("the backbone").add_argument, switch)
    _add_images(p.add_argument_group("fetching and decoding").add_argument, switch)
    _add_run(p.add_argument_group("the run").add_argument, switch)
    _add_dataflow(p.add_argument_group("Google Dataflow, --runner=DataflowRunner").add_argument, switch)
    return p


def _add_data(add: Any, switch: dict[str, Any]) -> None:
    add(
        "--input",
        action="append",
        metavar="PATH",
        help="an image, a folder (recursive), a glob, or a manifest of uris (.txt, .csv, .tsv, .jsonl, .parquet, "
        "failures-*.jsonl), on any filesystem that Beam reads; repeatable; {date} and {run} as in --output",
    )
    add(
        "--uri_column",
        default="uri",
        metavar="NAME",
        help="the manifest's column that holds the uri; its other columns are carried to the output (default uri)",
    )
    add(
        "--output",
        metavar="FOLDER",
        help="folder for the result, local or gs://; {date} stands for the day the run begins, UTC, as 2026-11-23, and "
        "{run} for its id",
    )
    add(
        "--output_format",
        type=some_formats,
        default=("parquet",),
        metavar="FORMAT",
        help="parquet, tfrecord, or parquet,tfrecord (default parquet)",
    )
    add("--num_shards", type=a_count, metavar="N", help="files to write, of even size; default as --shard_bytes says")
    add(
        "--shard_bytes",
        type=a_count,
        default=256 << 20,
        metavar="BYTES",
        help="size of a file to aim at (default 256 MiB)",
    )
    add("--overwrite", **switch, help="replace the finished run in the output folder, once the new one stands")


def _add_backbone(add: Any, switch: dict[str, Any]) -> None:
    add(
        "--backbone",
        type=some_names,
        default=("MobileNetV2",),
        metavar="NAME",
        help="a constructor of keras.applications, any case; several, comma-separated, share fetching and decoding and "
        "get a folder each (default MobileNetV2)",
    )
    add(
        "--backbone_kwargs",
        type=an_object,
        default={},
        metavar="JSON",
        help='further arguments for the constructor, e.g. {"alpha": 0.25}',
    )
    add(
        "--weights",
        default="imagenet",
        metavar="WEIGHTS",
        help="imagenet (default), random (seeded), or a .weights.h5, .h5 or .keras file or a SavedModel",
    )
    add("--weights_sha256", default="", metavar="HEX", help="what the weights file must hash to")
    add("--trust_saved_model", **switch, help="run the program that a SavedModel is")
    add("--pooling", choices=("avg", "max", "flatten"), default="avg", help="of the last feature map (default avg)")
    add("--include_top", **switch, help="the 1000-wide top instead of the pooled features")
    add(
        "--classifier_activation",
        choices=("softmax", "linear"),
        default="softmax",
        help="of the top: softmax (default) or linear (logits)",
    )
    add("--top_k", type=a_count, default=0, metavar="K", help="add the names and scores of the K best classes")
    add("--layer", default="", metavar="NAME", help="the output of this layer instead, pooled as --pooling says")
    add("--image_size", type=a_size, metavar="SIZE", help="side, or HEIGHTxWIDTH, in px; default the backbone's")
    add("--normalize", **switch, help="scale each vector to unit L2 norm")
    add(
        "--precision",
        choices=("float32", "bfloat16", "float16"),
        default="float32",
        help="to compute in (default float32); the others are faster where the hardware has them, and less exact",
    )
    add(
        "--engine",
        choices=("auto", "tensorflow", "openvino"),
        default="auto",
        help="what computes: auto (default) is openvino where it is installed and there is no GPU, else tensorflow",
    )
    add("--require_gpu", **switch, help="fail at once where TensorFlow sees no GPU")
    add(
        "--embedding_dtype",
        choices=("float32", "float16"),
        default="float32",
        help="of the stored vectors (default float32)",
    )
    add("--batch_size", type=a_count, metavar="N", help="images a forward pass; default by the image size")


def _add_images(add: Any, switch: dict[str, Any]) -> None:
    add(
        "--resize",
        choices=RESIZES,
        default="crop",
        help="crop (default: short side to size, centre crop), stretch, or pad with black",
    )
    add(
        "--max_image_bytes",
        type=a_count,
        default=64 << 20,
        metavar="BYTES",
        help="size of an encoded image at most (default 64 MiB)",
    )
    add(
        "--max_image_pixels",
        type=a_count,
        default=100_000_000,
        metavar="PIXELS",
        help="width times height at most (default 100000000)",
    )
    add(
        "--fetch_timeout",
        type=seconds,
        default=60.0,
        metavar="SECONDS",
        help="for one image over http, with its retries (default 60)",
    )
    add(
        "--fetch_threads",
        type=a_count,
        default=16,
        metavar="N",
        help="fetches at a time in each worker process (default 16)",
    )
    add("--allow_private_hosts", **switch, help="fetch over http from addresses that are not public, too")


def _add_run(add: Any, switch: dict[str, Any]) -> None:
    add(
        "--max_failure_ratio",
        type=a_ratio,
        default=1.0,
        metavar="RATIO",
        help="exit 3 when a larger part of the inputs failed (default 1.0); all failed is always 3",
    )
    alone = {**switch, "action": CommandOnly}
    add("--dry_run", **alone, help="check everything, embed 5 images, write nothing")
    add("--verbose", **alone, help="show what Beam and TensorFlow say")
    add("--list_backbones", **alone, help="print the backbones and exit")


def _add_dataflow(add: Any, switch: dict[str, Any]) -> None:
    add(
        "--gpu",
        type=a_gpu,
        metavar="TYPE",
        help=f"embed on workers with this GPU, and set all that they need: {', '.join(GPUS)}; "
        "needs --sdk_container_image",
    )
    add("--gpu_count", type=a_count, metavar="N", help="GPUs of a worker (default 1)")
    alone = {**switch, "action": CommandOnly}
    add("--no_wait", **alone, help="exit as soon as the job is submitted; default is to follow it to its end")


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split a command line into our options and the flags that are Beam's.

    Raises:
      UsageError: an argument is wrong or missing.
    """
    options, beam_args = parser().parse_known_args(argv)
    options.command_line, options.began = tuple(argv), time.monotonic()
    if options.list_backbones:
        return options, beam_args
    for flag in NEEDED:
        given = getattr(options, flag)
        if not given or not all(given):
            raise UsageError(f"--{flag} is missing; see embed-images --help")
    if not options.backbone:
        raise UsageError("--backbone is empty; see --list_backbones")
    if len(options.backbone) > 1 and options.weights not in ("imagenet", "random"):
        raise UsageError("a weights file is for one --backbone; give one, or imagenet or random weights")
    if options.weights_sha256 and options.weights in ("imagenet", "random"):
        raise UsageError("--weights_sha256 is for a weights file; give its path as --weights")
    return options, beam_args


def check_beam_flags(beam_args: list[str]) -> None:
    """Refuse flags that neither we nor Beam know.

    Raises:
      UsageError: an unknown flag; the message names the nearest.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    beam = Parser(prog="embed-images", add_help=False, allow_abbrev=False)
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(beam)
    _, unknown = beam.parse_known_args(beam_args)
    if unknown:
        flag = unknown[0].partition("=")[0]
        known = [name for p in (parser(), beam) for action in p._actions for name in action.option_strings]
        what = f"unknown flag {flag}{did_you_mean(flag, known)}" if flag.startswith("-") else f"unexpected {flag!r}"
        raise UsageError(f"{what}; see embed-images --help")
