"""Try a run on five of its images, and say what the whole would write; nothing is written."""

import argparse
import itertools
from typing import Any

from pipelines.preflight import Plan
from transforms.backbones import load_backbone
from transforms.decode import Decode
from transforms.embed import BatchEmbedder
from transforms.failures import ImageError
from transforms.fetch import Fetch
from transforms.http import HttpFetch
from transforms.parquet import embeddings_schema

TRIED = 5


def print_dry_run(plan: Plan, options: argparse.Namespace) -> int:
    """Print one report; return 0, or 3 where none of the tried images could be embedded."""
    rows = plan.uris.rows()
    head = list(itertools.islice(rows, TRIED))
    first = [row for row in head if row]
    total = len(head) + sum(1 for _ in rows)
    print(f"inputs    {total:,}, of which the first {len(first)} are tried")
    fetch = Fetch(
        options.max_image_bytes,
        HttpFetch(options.max_image_bytes, options.fetch_timeout, allow_private_hosts=options.allow_private_hosts),
    )
    decode = Decode(plan.image_sizes, options.resize, options.max_image_pixels)
    pixels = []
    for uri in first:
        try:
            pixels.append(decode(fetch(uri)))
            print(
                f"  read    {uri.uri}: {pixels[-1].facts.width} x {pixels[-1].facts.height} {pixels[-1].facts.format}"
            )
        except ImageError as e:
            print(f"  failed  {uri.uri}: {e.reason}: {e}")
    embedded = 0
    for target in plan.targets:
        spec = target.spec
        embed = BatchEmbedder(load_backbone(target.backbone), target.backbone.size, TRIED, target.backbone.top_k)
        vectors = [v for v in embed(pixels) if not isinstance(v, ImageError)]
        embedded += len(vectors)
        size = total * spec.dim * (2 if spec.embedding_dtype == "float16" else 4)
        files = options.num_shards or -(-size // options.shard_bytes)
        print(f"{spec.backbone}: {len(vectors)} of {len(pixels)} embedded, {spec.dim} x {spec.embedding_dtype}")
        print(f"  output  {target.output}: about {files:,} files, {size / 1e6:,.1f} MB before compression, each format")
        print(f"  schema  {_schema(embeddings_schema(spec, plan.uris.columns, target.backbone.top_k))}")
    print("nothing was written; run it without --dry_run")
    return 0 if embedded else 3


def _schema(schema: Any) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
