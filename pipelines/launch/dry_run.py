"""Try a run on five of its images, and say what the whole would write; nothing is written."""

import argparse
import itertools
import os
import statistics
import time
from typing import Any

from apache_beam.options.pipeline_options import GoogleCloudOptions

from pipelines.launch.dataflow.estimate import Speed, check_memory, cost_lines
from pipelines.launch.dataflow.job import DataflowJob, container_versions, own_versions
from pipelines.launch.dataflow.machines import GPUS
from pipelines.launch.dataflow.submission import check_staging
from pipelines.launch.local import claim_outputs, discard_outputs
from pipelines.plan.plan import Plan, loadable_here
from transforms.backbones import load_backbone
from transforms.core.errors import UsageError
from transforms.core.failures import ImageError
from transforms.decode import Decode
from transforms.embed.batches import BatchEmbedder
from transforms.fetch.http import HttpFetch
from transforms.fetch.images import Fetch
from transforms.storage.gcs_download import GcsFetch
from transforms.write.parquet import embeddings_schema

TRIED = 5
TIMED = 8
"""Images of the forward pass that is timed for a Dataflow job."""


def print_dry_run(plan: Plan, options: argparse.Namespace, job: DataflowJob | None = None) -> int:
    """Print one report; return 0, or 3 where none of the tried images could be embedded.

    Raises:
      UsageError: the job cannot work.
    """
    if job:
        _print_job(plan, job)
    rows = plan.uris.rows()
    head = list(itertools.islice(rows, TRIED))
    first = [row for row in head if row]
    total = len(head) + sum(1 for _ in rows)
    print(f"inputs    {total:,}, of which the first {len(first)} are tried")
    fetch = Fetch(
        options.max_image_bytes,
        HttpFetch(options.max_image_bytes, options.fetch_timeout, allow_private_hosts=options.allow_private_hosts),
        GcsFetch(options.max_image_bytes, options.fetch_timeout),
    )
    decode = Decode(plan.image_sizes, options.resize, options.max_image_pixels)
    pixels, decoding, sizes, forward = [], [], [], 0.0
    for uri in first:
        try:
            image = fetch(uri)
            sizes.append(len(image.data))
            started = time.perf_counter()
            pixels.append(decode(image))
            decoding.append(time.perf_counter() - started)
            print(
                f"  read    {uri.uri}: {pixels[-1].facts.width} x {pixels[-1].facts.height} {pixels[-1].facts.format}"
            )
        except ImageError as e:
            print(f"  failed  {uri.uri}: {e.reason}: {e}")
    embedded = 0
    for target in plan.targets:
        spec = target.spec
        loaded = load_backbone(loadable_here(target.backbone, remote=job is not None))
        embed = BatchEmbedder(loaded, target.backbone.size, TRIED, target.backbone.top_k)
        vectors = [v for v in embed(pixels) if not isinstance(v, ImageError)]
        embedded += len(vectors)
        if job and pixels:
            forward += _forward_seconds(embed, (pixels * TIMED)[:TIMED])
        size = total * spec.dim * (2 if spec.embedding_dtype == "float16" else 4)
        files = options.num_shards or -(-size // options.shard_bytes)
        print(f"{spec.backbone}: {len(vectors)} of {len(pixels)} embedded, {spec.dim} x {spec.embedding_dtype}")
        print(f"  output  {target.output}: about {files:,} files, {size / 1e6:,.1f} MB before compression, each format")
        print(f"  schema  {_schema(embeddings_schema(spec, plan.uris.columns, target.backbone.top_k))}")
    if job and pixels:
        print(f"  read      about {total * statistics.mean(sizes) / 1e9:,.2f} GB of images")
        print("\n".join(cost_lines(job, total, Speed(statistics.median(decoding), forward), job.workers)))
    print("nothing was written; run it without --dry_run")
    return 0 if embedded else 3


def _print_job(plan: Plan, job: DataflowJob) -> None:
    needs, machine = check_memory(plan, job), job.machine
    check_staging(job, plan)
    claim_outputs(plan, local=False)
    left = discard_outputs(plan)
    if left:
        # A job would fail at it: its files get their names by a copy and a removal.
        raise UsageError(left[0])
    google = job.options.view_as(GoogleCloudOptions)
    print(f"Dataflow, project {google.project}, region {google.region}")
    print(f"  writable  {google.temp_location} and --output, by small objects that were removed again")
    own, theirs = own_versions(), container_versions(job.image)
    told = theirs == own or not job.image
    print(f"  versions  Python {own[0]}, Beam {own[1]}; {'workers have the same' if told else _untold(job.image)}")
    about = f"{machine.vcpus} vCPUs, {machine.memory_gb:.0f} GB" if machine else "of a family that is not known here"
    print(f"  worker    {machine.name if machine else 'the --machine_type'}: {about}; processes {job.processes}")
    gpu = f"; about {needs.gpu_gb:.1f} of {GPUS[job.gpu].memory_gb} GB of a {job.gpu}" if job.gpu else ""
    of = f" of {machine.memory_gb:.0f}" if machine else ""
    print(f"  memory    about {needs.host_gb:.1f}{of} GB{gpu}, with batches that halve where they do not fit")


def _untold(image: str) -> str:
    return f"the name of {image} does not tell whether it has the same, which it must"


def _forward_seconds(embed: BatchEmbedder, pixels: list[Any]) -> float:
    """Return the seconds of a core that an image takes, after a first pass that does not count."""
    embed.batch_size = len(pixels)
    list(embed(pixels))
    started = time.perf_counter()
    list(embed(pixels))
    return (time.perf_counter() - started) * (os.cpu_count() or 1) / len(pixels)


def _schema(schema: Any) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
