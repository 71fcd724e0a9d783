"""The stages of a plan: each flag reaches the transform that it is for."""

import dataclasses
import pathlib

import pytest

from pipelines.options.command_line import parse
from pipelines.plan.plan import Plan, Target, make_plan
from pipelines.plan.runner import Where
from pipelines.plan.stages import (
    decode_of,
    embed_of,
    failures_sink_of,
    fetch_differing_of,
    fetch_of,
    files_of,
    formats_of,
    manifest_of,
    merge_of,
    sinks_of,
)
from pipelines.plan.standing import standing_in
from tests import collection_files as files
from tests.pipelines.conftest import settings_of
from transforms import Backbone, ReadImageUris, WriteEmbeddingsToParquet, WriteEmbeddingsToTFRecord
from transforms.embed.batch_sizes import default_batch_size
from transforms.update.merge import NOTHING_STANDS


def planned(photos: pathlib.Path, *flags: str) -> Plan:
    return make_plan(settings_of(photos, photos.parent / "out", *flags), Where())


def test_fetching_is_as_the_flags_say(photos: pathlib.Path) -> None:
    flags = ["--max_image_bytes=1000", "--fetch_threads=3", "--fetch_timeout=7", "--allow_private_hosts"]
    fetch = fetch_of(planned(photos, *flags))
    assert (fetch.max_image_bytes, fetch.num_threads, fetch.timeout, fetch.allow_private_hosts) == (1000, 3, 7.0, True)
    assert fetch.allowed_prefixes == ()


def test_what_may_be_fetched_is_no_part_of_the_spec(photos: pathlib.Path) -> None:
    """(4f): vectors could no longer be mixed once a job is told what it may read."""
    open_, closed = planned(photos), planned(photos, f"--allowed_prefix={photos},gs://b")
    assert fetch_of(closed).allowed_prefixes == (str(photos), "gs://b")
    assert open_.targets[0].spec.fingerprint == closed.targets[0].spec.fingerprint


@pytest.mark.exhaustive
def test_decoding_is_as_the_flags_say_for_all_sizes_and_the_largest_batch(photos: pathlib.Path) -> None:
    arguments = ["--input", str(photos), "--output", f"{photos}-out", "--weights=random"]
    flags = ["--backbone=MobileNet,EfficientNetB1", "--resize=pad", "--max_image_pixels=5000000"]
    flags += ["--resize_filter=area", "--color_profile=apply"]
    plan = make_plan(parse([*arguments, *flags])[0], Where())
    decode = decode_of(plan)
    assert (decode.image_sizes, decode.resize, decode.max_image_pixels) == (((224, 224), (240, 240)), "pad", 5_000_000)
    assert (decode.resize_filter, decode.color_profile) == ("area", "apply")
    assert {(target.spec.resize_filter, target.spec.color_profile) for target in plan.targets} == {("area", "apply")}
    assert decode.lookahead == max(embed_of(plan, target).images_per_batch for target in plan.targets)


def test_what_is_cut_out_of_the_middle_is_decoded_so_and_part_of_the_spec(photos: pathlib.Path) -> None:
    whole, *parts = (planned(photos, *flags) for flags in ([], ["--central_fraction=0.9"], ["--central_fraction=.875"]))
    assert [decode_of(plan).central_fraction for plan in (whole, *parts)] == [1.0, 0.9, 0.875]
    assert [plan.targets[0].spec.central_fraction for plan in (whole, *parts)] == [1.0, 0.9, 0.875]
    assert len({plan.targets[0].spec.fingerprint for plan in (whole, *parts)}) == 3
    assert planned(photos, "--central_fraction=1").targets[0].spec.fingerprint == whole.targets[0].spec.fingerprint


@pytest.mark.parametrize(
    ("flags", "required"), [([], False), (["--gpu=nvidia-l4"], True)], ids=["processors", "a rented GPU"]
)
def test_embedding_is_as_the_flags_say_and_requires_the_gpu_that_is_paid_for(
    flags: list[str], required: bool, photos: pathlib.Path
) -> None:
    plan = planned(photos, "--batch_size=5", "--embedding_dtype=float16", *flags)
    (target,) = plan.targets
    embed = embed_of(plan, target)
    assert embed.backbone is target.backbone
    assert (embed.batch_size, embed.embedding_dtype, embed.require_gpu) == (5, "float16", required)
    assert (embed.images_per_batch, decode_of(plan).lookahead) == (5, 5)


def test_a_batch_is_of_the_default_size_where_no_flag_says_another(photos: pathlib.Path) -> None:
    plan = planned(photos)
    assert embed_of(plan, plan.targets[0]).images_per_batch == default_batch_size((32, 32))


@pytest.mark.parametrize("formats", ["parquet", "tfrecord", "tfrecord,parquet"])
def test_each_format_has_its_sink_and_each_sink_all_that_the_plan_says(formats: str, photos: pathlib.Path) -> None:
    (photos / "list.csv").write_text(f"uri,label\n{photos / 'a' / '1.jpg'},7\n")
    flags = [f"--output_format={formats}", "--num_shards=3", "--shard_bytes=12345"]
    plan = planned(photos / "list.csv", *flags)
    # Not by its flag, for which the names of the classes would be downloaded.
    backbone = dataclasses.replace(plan.targets[0].backbone, include_top=True, top_k=2)
    target = dataclasses.replace(plan.targets[0], backbone=backbone)
    sinks = dict(sinks_of(plan, target))
    assert list(sinks) == formats.split(",")
    kinds = {"parquet": WriteEmbeddingsToParquet, "tfrecord": WriteEmbeddingsToTFRecord}
    for format_, sink in sinks.items():
        assert type(sink) is kinds[format_]
        assert (sink.output, sink.run_id, sink.spec) == (target.output, plan.run_id, target.spec)
        assert sink.columns.names == ["label"]
        assert (sink.top_k, sink.num_shards, sink.shard_bytes) == (2, 3, 12345)
    commit = manifest_of(plan, target)
    assert (commit.output, commit.run_id, commit.spec) == (target.output, plan.run_id, target.spec)
    assert commit.started == plan.started
    assert (commit.features is not None) is ("tfrecord" in formats)
    assert commit.replaceable == {"manifest.json": "", "tfrecord/features.json": ""}


def test_the_manifest_may_replace_what_the_plan_has_seen(photos: pathlib.Path) -> None:
    plan = planned(photos)
    target = dataclasses.replace(plan.targets[0], replaceable={"manifest.json": 17})
    assert manifest_of(plan, target).replaceable == {"manifest.json": 17}


def updated(photos: pathlib.Path, *flags: str) -> tuple[Plan, Target]:
    """Return a plan that updates a collection of both formats, and its target."""
    out = photos.parent / "out"
    both = {"parquet": files.parquet(), "tfrecord": files.tfrecord()}
    manifest = files.collection(out, [files.embedding("/a", label=1)], [files.failure("/b")], both)
    formats = "--output_format=tfrecord,parquet"
    settings = settings_of(photos, out, "--existing=update", formats, *flags)
    target = Target(
        Backbone("MobileNet", weights="random"),
        files.SPEC,
        str(out),
        standing=standing_in(str(out), manifest, files.SPEC, settings),
    )
    return Plan("NEW", "2026-01-01T00:00:00+00:00", settings, Where(), ReadImageUris([str(photos)]), (target,)), target


def test_rows_are_compared_by_the_first_format_as_the_flags_say(photos: pathlib.Path) -> None:
    plan, target = updated(photos, "--retry=all", "--recheck_http=false", "--remove_missing")
    differing = fetch_differing_of(plan)
    (rules,), (known,) = differing.rules, differing.files
    assert (rules.name, rules.format_name, rules.retry, rules.recheck_http) == ("MobileNet", "tfrecord", "all", False)
    assert [file.format for file in known] == ["", "tfrecord"]
    merge = merge_of(plan, target, None, unread=None)  # type: ignore[arg-type]
    assert (merge.collection, merge.output, merge.read_format) == ("MobileNet", target.output, "tfrecord")
    assert (merge.known, merge.files) == (known, target.standing.files())
    assert merge.remove_missing
    assert list(merge.formats) == ["", "tfrecord", "parquet"] == list(formats_of(plan, target))


def rewrites(plan: Plan, target: Target) -> dict[str, bool]:
    return {format_: sink.rewrites for format_, sink in sinks_of(plan, target)}


def test_a_collection_that_carries_other_columns_is_written_again(photos: pathlib.Path) -> None:
    plan, target = updated(photos)
    assert rewrites(plan, target) == {"tfrecord": True, "parquet": True}
    nothing = dataclasses.replace(target, standing=type(target.standing)())
    plan.source.carry(files.LABEL)
    for one in (target, nothing):
        assert rewrites(plan, one) == {"tfrecord": False, "parquet": False}


def test_the_type_of_vectors_is_for_parquet_and_no_part_of_the_spec(photos: pathlib.Path) -> None:
    plain, fixed = planned(photos), planned(photos, "--vector_type=fixed_size_list")
    assert plain.targets[0].spec == fixed.targets[0].spec
    plan, target = updated(photos, "--vector_type=fixed_size_list")
    plan.source.carry(files.LABEL)
    assert rewrites(plan, target) == {"tfrecord": False, "parquet": True}
    sink = dict(sinks_of(plan, target))["parquet"]
    assert sink.format().schema.field("embedding").type.list_size == target.spec.dim  # type: ignore[attr-defined]
    assert manifest_of(plan, target).vector_type == "fixed_size_list"


def test_an_update_keeps_the_type_of_vectors_unless_another_is_given(photos: pathlib.Path) -> None:
    for given, expected in (("", "fixed_size_list"), ("--vector_type=list", "list")):
        plan, target = updated(photos, *filter(None, [given]))
        collection = {**target.standing.manifest["collection"], "vector_type": "fixed_size_list"}  # type: ignore[index]
        stands = dataclasses.replace(target.standing, manifest={**target.standing.manifest, "collection": collection})
        target = dataclasses.replace(target, standing=stands)
        plan.source.carry(files.LABEL)
        assert rewrites(plan, target) == {"tfrecord": False, "parquet": expected == "list"}
        sink = dict(sinks_of(plan, target))["parquet"]
        assert (sink.vector_type, manifest_of(plan, target).vector_type) == (expected, expected)


@pytest.mark.parametrize(("existing", "keeps"), [("update", True), ("replace", False), ("refuse", True)])
def test_the_commit_is_that_of_an_update(existing: str, keeps: bool, photos: pathlib.Path) -> None:
    plan, target = updated(photos)
    plan = dataclasses.replace(plan, settings=dataclasses.replace(plan.settings, existing=existing))
    standing = dataclasses.replace(target.standing, parts=(("DEAD", ("part",)),))
    commit = manifest_of(plan, dataclasses.replace(target, standing=standing))
    assert (commit.updates, commit.resumes, commit.keeps_parts) == (True, ("DEAD",), keeps)
    assert not manifest_of(plan, dataclasses.replace(target, standing=type(standing)())).updates


def test_where_nothing_stands_no_files_are_merged(photos: pathlib.Path) -> None:
    plan, target = updated(photos)
    assert files_of(NOTHING_STANDS, "parquet") is None
    assert [sink.standing for _, sink in sinks_of(plan, target)] == [None, None]
    assert failures_sink_of(plan, target, NOTHING_STANDS, more=()).standing is None
