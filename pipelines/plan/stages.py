"""The stages of a plan: the transforms, given plain values; the pipeline and the dry run use the same ones."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any, cast

from pipelines.options.settings import HowToEmbed, Limits
from pipelines.plan.plan import Plan, Target
from transforms import DecodeImages, EmbedImages, FetchImages, WriteFailures, WriteManifest
from transforms.collection.columns import example_features, schema_text
from transforms.core.elements import Size
from transforms.decode.canary import decoding_hash
from transforms.update.compare import Rules
from transforms.update.fetching import FetchDiffering, Standing
from transforms.update.merge import NOTHING_STANDS, FilesOf, Merged, MergeWithStanding
from transforms.write.embeddings import WriteEmbeddings
from transforms.write.failures import FailuresFormat
from transforms.write.shard_format import EmbeddingsFormat, ShardFormat
from transforms.write.sinks import SINKS


def fetch_of(plan: Plan) -> FetchImages:
    """Return how a plan fetches images."""
    return fetch_within(plan.settings)


def fetch_within(limits: Limits) -> FetchImages:
    """Return how images are fetched within limits."""
    return FetchImages(
        max_image_bytes=limits.max_image_bytes,
        num_threads=limits.fetch_threads,
        timeout=limits.fetch_timeout,
        allow_private_hosts=limits.allow_private_hosts,
        allowed_prefixes=limits.allowed_prefix,
    )


def formats_of(plan: Plan, target: Target) -> dict[str, ShardFormat]:
    """Return the formats of a target's files by name, '' for failures."""
    return {"": FailuresFormat(), **{format_: sink.format() for format_, sink in sinks_of(plan, target)}}


def fetch_differing_of(plan: Plan) -> FetchDiffering:
    """Return how a plan fetches the images that its targets do not have."""
    settings, read = plan.settings, plan.settings.output_format[0]
    rules = [
        Rules(
            target.backbone.name,
            read,
            cast(EmbeddingsFormat, formats_of(plan, target)[read]),
            settings.retry,
            settings.recheck_http,
        )
        for target in plan.targets
    ]
    return FetchDiffering(
        fetch_of(plan), rules, [target.standing.known(target.output, read) for target in plan.targets]
    )


def merge_of(plan: Plan, target: Target, standing: Standing, unread: Any) -> MergeWithStanding:
    """Return how a plan merges what is new with what stands for one of its targets."""
    read = plan.settings.output_format[0]
    return MergeWithStanding(
        target.backbone.name,
        target.output,
        standing,
        target.standing.known(target.output, read),
        target.standing.files(),
        formats_of(plan, target),
        read,
        unread,
        plan.settings.remove_missing,
    )


def decode_of(plan: Plan) -> DecodeImages:
    """Return how a plan decodes images: once, for all of its backbones."""
    # A batch is decoded while those before it are embedded.
    lookahead = max(embed_of(plan, target).images_per_batch for target in plan.targets)
    return dataclasses.replace(_decode_of(plan), lookahead=lookahead)


def _decode_of(plan: Plan) -> DecodeImages:
    return decode_within(plan.settings, plan.settings, plan.image_sizes)


def decode_within(limits: Limits, how: HowToEmbed, sizes: Sequence[Size]) -> DecodeImages:
    """Return how images are decoded within limits: each (height, width) of `sizes`, in px."""
    return DecodeImages(
        image_sizes=sizes,
        resize=how.resize,
        resize_filter=how.resize_filter,
        color_profile=how.color_profile,
        central_fraction=how.central_fraction,
        max_image_pixels=limits.max_image_pixels,
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


def sinks_of(plan: Plan, target: Target, merged: Merged = NOTHING_STANDS) -> Iterator[tuple[str, WriteEmbeddings]]:
    """Yield the sinks for one of a plan's targets, each with its format.

    Args:
      plan: the plan.
      target: one of its targets.
      merged: what stands, and is written again with the embeddings to which a sink is applied.
    """
    vector_type = plan.vector_type_of(target)
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
                standing=files_of(merged, format_),
                rewrites=target.standing.differs(format_, plan.source.columns, vector_type),
                more=merged.embeddings,
                vector_type=vector_type,
            ),
        )


def failures_sink_of(plan: Plan, target: Target, merged: Merged, more: Sequence[Any]) -> WriteFailures:
    """Return the sink of failures for one of a plan's targets.

    Args:
      plan: the plan.
      target: one of its targets.
      merged: what stands.
      more: PCollections of failures that are written with those to which the sink is applied.
    """
    return WriteFailures(target.output, plan.run_id, standing=files_of(merged, ""), more=more)


def files_of(merged: Merged, format_: str) -> Any:
    """Return the StandingFiles of a format, '' for failures; None if nothing stands."""
    if merged.files is None:
        return None
    return merged.files | f"Standing_{format_ or 'failures'}" >> FilesOf(format_)


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
        columns=schema_text(plan.source.columns),
        vector_type=plan.vector_type_of(target),
        top_k=target.backbone.top_k,
        updates=target.standing.manifest is not None,
        resumes=target.standing.resumes,
        keeps_parts=plan.settings.existing != "replace",
        dollars_an_hour=plan.where.dollars_an_hour,
    )
