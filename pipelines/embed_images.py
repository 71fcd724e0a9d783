"""Read image uris, fetch the images, decode them, embed them, write the embeddings and what was lost.

embed-images --input photos/ --output embeddings/
"""

import sys

if __name__ == "__main__":
    # Before the imports below, so that --help and mistakes are answered at once and in silence.
    from pipelines.command import main

    sys.exit(main())

import argparse
from collections.abc import Mapping
from typing import Any

import apache_beam as beam

from pipelines.console.summary import exit_code, print_summary
from pipelines.launch.dataflow.estimate import check_memory
from pipelines.launch.dataflow.job import dataflow_job, is_remote
from pipelines.launch.dataflow.submission import run_on_dataflow
from pipelines.launch.dry_run import print_dry_run
from pipelines.launch.local import run_to_end
from pipelines.plan.plan import Plan, Target, make_plan
from transforms import (
    CountReasons,
    DecodeImages,
    EmbedImages,
    FetchImages,
    MeasureHealth,
    WriteEmbeddingsToParquet,
    WriteEmbeddingsToTFRecord,
    WriteFailures,
    WriteManifest,
)
from transforms.write.tfrecord import example_features


def build(root: Any, plan: Plan, options: argparse.Namespace, hints: Mapping[str, str] | None = None) -> None:
    """Apply the pipeline to its root: each image is fetched and decoded once, and embedded by each backbone.

    Args:
      root: of the pipeline.
      plan: what is read and written, and by which backbones.
      options: how.
      hints: Beam's resource hints for the embedding.
    """
    fetch = FetchImages(
        max_image_bytes=options.max_image_bytes,
        num_threads=options.fetch_threads,
        timeout=options.fetch_timeout,
        allow_private_hosts=options.allow_private_hosts,
    )
    embeds = [
        EmbedImages(
            target.backbone, options.batch_size, options.embedding_dtype, options.require_gpu or bool(options.gpu)
        ).with_resource_hints(**hints or {})
        for target in plan.targets
    ]
    # A batch is decoded while those before it are embedded.
    lookahead = max(embed.images_a_batch for embed in embeds)
    decode = DecodeImages(plan.image_sizes, options.resize, options.max_image_pixels, lookahead=lookahead)

    uris, unread, counts = root | plan.uris
    images, unfetched = uris | fetch
    pixels, undecoded = images | decode
    for target, embed in zip(plan.targets, embeds, strict=True):
        name = target.backbone.name
        embeddings, unembedded = pixels | f"Embed{name}" >> embed
        failures = (unread, unfetched, undecoded, unembedded) | f"Failures{name}" >> beam.Flatten()
        write(embeddings, failures, counts, plan, target, options)


def write(embeddings: Any, failures: Any, counts: Any, plan: Plan, target: Target, options: argparse.Namespace) -> None:
    """Write what one backbone made of the images, and the manifest that holds it together."""
    name, to = target.backbone.name, (target.output, plan.run_id)
    sinks: dict[str, Any] = {"parquet": WriteEmbeddingsToParquet, "tfrecord": WriteEmbeddingsToTFRecord}
    about = (target.spec, plan.uris.columns, target.backbone.top_k, options.num_shards, options.shard_bytes)
    written = [embeddings | f"Write_{f}_{name}" >> sinks[f](*to, *about) for f in options.output_format]
    features = example_features(*about[:3]) if "tfrecord" in options.output_format else None
    outcome = {
        "counts": counts,
        "embeddings": written | f"Written{name}" >> beam.Flatten(),
        "failures": failures | f"WriteFailures{name}" >> WriteFailures(*to),
        "health": embeddings | f"Health{name}" >> beam.CombineGlobally(MeasureHealth()),
        "reasons": failures | f"Reasons{name}" >> beam.CombineGlobally(CountReasons()).without_defaults(),
    }
    _ = outcome | f"WriteManifest{name}" >> WriteManifest(*to, target.spec, plan.started, features, target.seen)


def run(options: argparse.Namespace, beam_args: list[str]) -> int:
    """Check, run and report: the command's exit code.

    Raises:
      UsageError: something cannot work; one line says what to do.
    """
    job = dataflow_job(options, beam_args)
    plan = make_plan(options, is_remote(beam_args))
    if options.dry_run:
        return print_dry_run(plan, options, job)
    if job:
        check_memory(plan, job)
        return run_on_dataflow(lambda root: build(root, plan, options, job.hints), plan, job.named(plan), options)
    facts = run_to_end(lambda root: build(root, plan, options), plan, beam_args, options.verbose)
    print_summary(plan, facts)
    return exit_code(plan, options.max_failure_ratio)
