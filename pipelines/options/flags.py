"""Every flag of `embed-images`, declared once: help, type, default and check; the rest is generated from here.

Importing this imports neither Beam nor TensorFlow, so that `--help` answers at once.
"""

import argparse
from typing import Any

from pipelines.options.arguments import (
    Parser,
    a_count,
    a_fraction,
    a_gpu,
    a_path,
    a_ratio,
    a_size,
    a_version,
    an_object,
    seconds,
    some_formats,
    some_names,
    some_prefixes,
    yes_or_no,
)
from pipelines.options.gpus import GPUS
from pipelines.options.help import EPILOG, EXAMPLES, SUMMARY, USAGE, HelpFormatter
from transforms.backbones.engines import AUTO, ENGINES
from transforms.collection.choices import EXISTING, RETRIES, VECTOR_TYPES
from transforms.core import retries
from transforms.core.spec import (
    ACTIVATIONS,
    COLOR_PROFILES,
    DTYPES,
    POOLINGS,
    PRECISIONS,
    RESIZE_FILTERS,
    RESIZES,
)

NEEDED = ("input", "output")
"""Flags that every run needs. The parser does not require them, since --list_backbones needs neither."""


REMOVED = {
    "--overwrite": "--existing replace",
    "--trust_saved_model": "--trust_model, with the SavedModel as --model",
    "--verbose": "--log_level debug",
}
"""Flags of earlier versions, and what says the same now."""


SWITCH: dict[str, Any] = {
    "type": yes_or_no,
    "nargs": "?",
    "const": True,
    "default": False,
    "metavar": "true|false",
}
"""Arguments of a flag that is true or false."""

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")


class CommandOnly(argparse._StoreAction):
    """A switch for a person at a terminal; templates have no such parameter, since nobody watches them."""


class PrintsAndEnds(CommandOnly):
    """A switch that prints something and ends the command: a question, and no setting of a run."""


QUESTION: dict[str, Any] = {**SWITCH, "action": PrintsAndEnds}
"""Arguments of such a flag."""


def parser() -> Parser:
    """Return the parser of all flags."""
    p = Parser(
        prog="embed-images",
        removed=REMOVED,
        usage=USAGE,
        description=f"{SUMMARY}\n\n{EXAMPLES}",
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    _add_data(p.add_argument_group("what goes in and out").add_argument)
    _add_collection(p.add_argument_group("what stands already").add_argument)
    add_backbone(p.add_argument_group("the backbone").add_argument)
    images = p.add_argument_group("fetching and decoding").add_argument
    add_images(images)
    add_limits(images)
    _add_run(p.add_argument_group("the run").add_argument)
    _add_dataflow(p.add_argument_group("Google Dataflow, --runner=DataflowRunner").add_argument)
    return p


def _add_data(add: Any) -> None:
    add(
        "--input",
        action="append",
        type=a_path,
        metavar="PATH",
        help="an image, a folder (recursive), a glob, or a uri list (.txt, .csv, .tsv, .jsonl, .parquet, "
        "failures-*.jsonl; also .gz, .bz2 or .zst, or a folder of Parquet), "
        "on any filesystem that Beam reads; repeatable; {date} and {run} as in --output",
    )
    add(
        "--uri_column",
        default="uri",
        metavar="NAME",
        help="column of the uri list that holds the uri; the other columns are carried to the output (default uri)",
    )
    add(
        "--version_column",
        default="",
        metavar="NAME",
        help="column of the uri list that says which version of an image is meant, in any text that changes with the "
        "image: a hash, a time, a number; it is carried to the output as well",
    )
    add(
        "--output",
        type=a_path,
        metavar="FOLDER",
        help="folder for the result, local or gs://; {date} becomes the UTC day on which the run begins, e.g. "
        "2026-11-23, and {run} the run's id",
    )
    add(
        "--output_format",
        type=some_formats,
        default=("parquet",),
        metavar="FORMAT",
        help="parquet, tfrecord, or parquet,tfrecord (default parquet)",
    )
    add(
        "--vector_type",
        choices=VECTOR_TYPES,
        help="type of the vectors in Parquet: list, which every reader knows, or fixed_size_list, which tells Arrow, "
        "Polars and LanceDB their width (default: what an updated collection has, else list)",
    )
    add(
        "--num_shards",
        type=a_count,
        metavar="N",
        help="number of files to write, of even size; by default --shard_bytes decides",
    )
    add(
        "--shard_bytes",
        type=a_count,
        default=256 << 20,
        metavar="BYTES",
        help="target size of a file (default 256 MiB)",
    )


def _add_collection(add: Any) -> None:
    add(
        "--existing",
        choices=EXISTING,
        default="refuse",
        help="what to do about a collection that stands in --output: refuse (default), replace it once the new one is "
        "complete, or update it: embed what is new or has changed, and skip the rest",
    )
    add("--remove_missing", **SWITCH, help="with --existing update, drop the rows whose uri no input names any more")
    add(
        "--retry",
        choices=RETRIES,
        default="transient",
        help="which earlier failures to try again: transient (default), all, or none; an image that has changed is "
        "always tried",
    )
    add(
        "--recheck_http",
        **{**SWITCH, "default": True},
        help="ask servers whether known images have changed (default true); false takes them as unchanged",
    )
    add(
        "--resume",
        default="",
        metavar="RUN",
        help="take over the finished parts of this run, of which it cannot be known here that it has ended; those of "
        "runs that have are taken over anyway, but for --existing replace",
    )


def add_backbone(add: Any) -> None:
    """Add the flags that say what computes which vector, which every command has that embeds without a collection."""
    add(
        "--backbone",
        type=some_names,
        default=("MobileNetV2",),
        metavar="NAME",
        help="name of a constructor of keras.applications, in any case; several, separated by commas, share fetching "
        "and decoding, and get a folder each (default MobileNetV2)",
    )
    add(
        "--backbone_kwargs",
        type=an_object,
        default={},
        metavar="JSON",
        help='further arguments of the constructor, e.g. {"alpha": 0.25}',
    )
    add(
        "--weights",
        type=a_path,
        default="imagenet",
        metavar="WEIGHTS",
        help="imagenet (default), random (seeded), or a .weights.h5, .h5 or .keras file of the backbone or of a model "
        "that holds it",
    )
    add(
        "--model",
        type=a_path,
        default="",
        metavar="PATH",
        help="a whole model of your own instead of --backbone: a .keras or .onnx file, or the folder of a SavedModel "
        "or of an .onnx file with its data",
    )
    add(
        "--weights_sha256",
        default="",
        metavar="HEX",
        help="sha256 that the file of --weights or --model must have; a folder's is that of its files' names and "
        "hashes, and is printed if this one is wrong",
    )
    add("--trust_model", **SWITCH, help="accept a --model that is a SavedModel, a program that can do anything")
    add(
        "--preprocess",
        default="",
        metavar="HOW",
        help="how to make a --model's input from pixels, needed unless it rescales them itself: raw (0 to 255), unit "
        "(0 to 1), tf (-1 to 1), torch, caffe or clip (their own means), or mean=R,G,B,std=R,G,B of values from 0 to "
        "1; backbone, the default with --backbone, is that of the backbone",
    )
    add(
        "--pooling",
        choices=POOLINGS,
        default="avg",
        help="how to pool the last feature map, or the tokens of a --model, of which cls takes the first (default avg)",
    )
    add("--include_top", **SWITCH, help="take the 1000-wide output of the top instead of the pooled features")
    add(
        "--classifier_activation",
        choices=ACTIVATIONS,
        default="softmax",
        help="activation of the top: softmax (default) or linear (logits)",
    )
    add("--top_k", type=a_count, default=0, metavar="K", help="add the names and scores of the K best classes")
    add("--layer", default="", metavar="NAME", help="take the output of this layer instead, pooled as --pooling says")
    add(
        "--image_size",
        type=a_size,
        metavar="SIZE",
        help="side or HEIGHTxWIDTH of the backbone's input, in px; default: its own",
    )
    add("--normalize", **SWITCH, help="scale each vector to unit L2 norm")
    add(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="numbers to compute in (default float32); the others are faster on hardware that has them, and less exact",
    )
    add_engine(add)
    add("--require_gpu", **SWITCH, help="fail at once if the engine sees no GPU")
    add(
        "--embedding_dtype",
        choices=DTYPES,
        default="float32",
        help="type of the stored vectors (default float32)",
    )
    add(
        "--batch_size",
        type=a_count,
        metavar="N",
        help="how many images one forward pass takes; the default depends on the image size",
    )


def add_engine(add: Any) -> None:
    """Add the flag that chooses what computes, which every command has that embeds."""
    add(
        "--engine",
        choices=(AUTO, *ENGINES),
        default=AUTO,
        help="library that computes; auto (default) is openvino if it is installed and there is no GPU, else "
        "tensorflow, and on a GPU, for a --model of ONNX, onnxruntime",
    )


def add_images(add: Any) -> None:
    """Add the flags that say how images become pixels, likewise."""
    add(
        "--resize",
        choices=RESIZES,
        default="crop",
        help="crop (default: short side to size, centre crop), stretch, or pad with black",
    )
    add(
        "--central_fraction",
        type=a_fraction,
        default=1.0,
        metavar="FRACTION",
        help="part of the scaled sides that crop cuts out of the middle (default 1.0), which is timm's crop_pct: 0.875 "
        "takes 224 of 256 pixels, as torchvision and DINOv2 do",
    )
    add(
        "--resize_filter",
        choices=RESIZE_FILTERS,
        default="bilinear",
        help="how to weigh the pixels that become one (default bilinear): what a model was trained with; all but "
        "nearest are antialiased",
    )
    add(
        "--color_profile",
        choices=COLOR_PROFILES,
        default="ignore",
        help="ignore (default) takes all numbers as sRGB; apply converts them as the image's ICC profile says",
    )


def add_limits(add: Any) -> None:
    """Add the flags that bound what is fetched and decoded, which every command has that looks at images."""
    add(
        "--max_image_bytes",
        type=a_count,
        default=64 << 20,
        metavar="BYTES",
        help="maximum size of an encoded image (default 64 MiB)",
    )
    add(
        "--max_image_pixels",
        type=a_count,
        default=100_000_000,
        metavar="PIXELS",
        help="maximum width times height (default 100000000)",
    )
    add(
        "--fetch_timeout",
        type=seconds,
        default=retries.TIMEOUT,
        metavar="SECONDS",
        help="time for one image over a network, retries included (default 60)",
    )
    add(
        "--fetch_threads",
        type=a_count,
        default=16,
        metavar="N",
        help="number of fetches at a time in each worker process (default 16)",
    )
    add(
        "--billing_project",
        default="",
        metavar="PROJECT",
        help="Google project that pays for requests to Cloud Storage, which a bucket whose requester pays asks for; "
        "default: the owner of the bucket pays",
    )
    add("--allow_private_hosts", **SWITCH, help="also fetch over http from addresses that are not public")
    add(
        "--allowed_prefix",
        action="extend",
        type=some_prefixes,
        metavar="PREFIX",
        help="fetch images only from below this uri or path, e.g. gs://bucket/photos, compared by whole names, after "
        "links and redirects; several are separated by commas; default: from anywhere; repeatable",
    )


def _add_run(add: Any) -> None:
    add(
        "--max_failure_ratio",
        type=a_ratio,
        default=1.0,
        metavar="RATIO",
        help="exit with 3, or fail the job that nobody waits for, if a larger part of the inputs failed (default 1.0), "
        "and always if all did; what was written stands",
    )
    alone = {**SWITCH, "action": CommandOnly}
    add("--dry_run", **alone, help="check everything, embed 5 images, write nothing")
    add_habits(add)
    add("--list_backbones", **QUESTION, help="print the backbones and exit")


def add_habits(add: Any) -> None:
    """Add the flags that every command has."""
    add(
        "--log_level",
        action=CommandOnly,
        choices=LOG_LEVELS,
        default="warning",
        help="from which level on to log on stderr (default warning): info tells of retries, slow hosts, halved "
        "batches, what is taken over and the end of each stage; debug shows tracebacks and what Beam and TensorFlow "
        "say",
    )
    add(
        "--log_format",
        action=CommandOnly,
        choices=LOG_FORMATS,
        default="text",
        help="text (default), or json: all of stderr as objects, one a line, of time, level, message and run_id",
    )
    add(
        "--config",
        action=CommandOnly,
        type=a_path,
        default="",
        metavar="FILE",
        help="TOML file of flags, e.g. fetch_threads = 8; the command line counts first, then variables of the "
        "command's and the flag's name, e.g. EMBED_IMAGES_FETCH_THREADS, then the file",
    )
    add("--show_config", **QUESTION, help="print every setting with where its value comes from, as a --config file")
    add("--version", **QUESTION, help="print the version and exit")


def _add_dataflow(add: Any) -> None:
    add(
        "--gpu",
        type=a_gpu,
        metavar="TYPE",
        help=f"embed on workers with this type of GPU, and set up all that they need; one of {', '.join(GPUS)}; "
        "needs --sdk_container_image",
    )
    add("--gpu_count", type=a_count, metavar="N", help="number of GPUs per worker (default 1)")
    add(
        "--gpu_driver",
        type=a_version,
        metavar="VERSION",
        help="version of the driver that Dataflow installs, e.g. 5xx; default: Dataflow's own",
    )
    alone = {**SWITCH, "action": CommandOnly}
    add("--no_wait", **alone, help="exit as soon as the job is submitted, instead of following it to its end")
