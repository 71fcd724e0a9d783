"""The stages of a plan: the transforms, given plain values; the pipeline and the dry run use the same ones."""

import dataclasses
import functools
from collections.abc import Iterator

from pipelines.plan.plan import Plan, Target
from transforms import DecodeImages, EmbedImages, FetchImages, WriteManifest
from transforms.collection.columns import example_features
from transforms.decode.canary import decoding_hash
from transforms.write.embeddings import WriteEmbeddings
from transforms.write.sinks import SINKS


def fetch_of(plan: Plan) -> FetchImages:
    """Return how a plan fetches images."""
    settings = plan.settings
    return FetchImages(
        max_image_bytes=settings.max_image_bytes,
        num_threads=settings.fetch_threads,
        timeout=settings.fetch_timeout,
        allow_private_hosts=settings.allow_private_hosts,
        allowed_prefixes=settings.allowed_prefix,
    )


def decode_of(plan: Plan) -> DecodeImages:
    """Return how a plan decodes images: once, for all of its backbones."""
    # A batch is decoded while those before it are embedded.
    lookahead = max(embed_of(plan, target).images_per_batch for target in plan.targets)
    return dataclasses.replace(_decode_of(plan), lookahead=lookahead)


def _decode_of(plan: Plan) -> DecodeImages:
    return DecodeImages(
        image_sizes=plan.image_sizes,
        resize=plan.settings.resize,
        resize_filter=plan.settings.resize_filter,
        color_profile=plan.settings.color_profile,
        max_image_pixels=plan.settings.max_image_pixels,
    )


def embed_of(plan: Plan, target: Target) -> EmbedImages:
    """Return how a plan embeds images for one of its targets."""
    settings = plan.settings
    return EmbedImages(
        backbone=target.backbone,
        batch_size=settings.batch_size,
        embedding_dtype=settings.embedding_dtype,
        require_gpu=settings.require_gpu or bool(settings.gpu),
        canary=target.canary,
        decoding=functools.partial(decoding_hash, _decode_of(plan).function.decoded, target.backbone.size),
    )


def sinks_of(plan: Plan, target: Target) -> Iterator[tuple[str, WriteEmbeddings]]:
    """Yield the sinks for one of a plan's targets, each with its format."""
    for format_ in plan.settings.output_format:
        yield (
            format_,
            SINKS[format_](
                output=target.output,
                run_id=plan.run_id,
                spec=target.spec,
                columns=plan.source.columns,
                top_k=target.backbone.top_k,
                num_shards=plan.settings.num_shards,
                shard_bytes=plan.settings.shard_bytes,
            ),
        )


def manifest_of(plan: Plan, target: Target) -> WriteManifest:
    """Return how a plan commits one of its targets."""
    features = example_features(target.spec, plan.source.columns, target.backbone.top_k)
    return WriteManifest(
        output=target.output,
        run_id=plan.run_id,
        spec=target.spec,
        started=plan.started,
        features=features if "tfrecord" in plan.settings.output_format else None,
        replaceable=target.replaceable,
        claimed=True,
    )
