"""What stands before a run: it is known, or refused in one line that says what to do."""

import dataclasses
import json
import pathlib
from typing import Any

import pyarrow as pa
import pytest

from pipelines.options.settings import Settings
from pipelines.plan.standing import Standing, standing_in
from tests import collection_files as files
from tests.fake_backbone import spec
from tests.pipelines.conftest import settings_of
from transforms.collection.layout import FEATURES, OWNER, SCRATCH
from transforms.collection.manifest import Manifest, read_manifest
from transforms.core.errors import UsageError
from transforms.core.spec import EmbeddingSpec
from transforms.core.uri_sum import UriSum
from transforms.update.known import KnownFile
from transforms.write.shard_plan import StandingFile

ROWS = [files.embedding("/a", label=1), files.embedding("/b", label=2)]
PARQUET = "parquet/embeddings-OLD-00000-of-00001.parquet"
LOST = "failures/failures-OLD-00000-of-00001.jsonl"


def settings_for(folder: pathlib.Path, *flags: str) -> Settings:
    return settings_of("photos", folder, "--existing=update", *flags)


def refused(folder: pathlib.Path, manifest: Manifest, spec_: EmbeddingSpec = files.SPEC, *flags: str) -> str:
    """Return the line that refuses an update, without what says instead and is the same in all."""
    with pytest.raises(UsageError) as error:
        standing_in(str(folder), manifest, spec_, settings_for(folder, *flags))
    (line,) = str(error.value).splitlines()
    return line.removeprefix(f"--output {folder}")


def leave_parts(folder: pathlib.Path, run: str, fingerprint: str) -> None:
    scratch = folder / f"{SCRATCH}{run}"
    scratch.mkdir(parents=True)
    (scratch / OWNER).write_text(json.dumps({"fingerprint": fingerprint, "ended": True}))
    for name in ("0.parquet", "1.tfrecord.gz", "2.jsonl"):
        (scratch / name).write_text("x")


INSTEAD = "choose another folder, or --existing replace"


def test_nothing_stands_in_a_new_folder(tmp_path: pathlib.Path) -> None:
    found = standing_in(str(tmp_path / "new"), None, files.SPEC, settings_for(tmp_path))
    assert found == Standing()
    assert (found.files(), found.known("out", "parquet"), found.resumes) == ([], [], ())
    assert found.columns == pa.schema([])


def test_what_stands_is_what_the_manifest_names(tmp_path: pathlib.Path) -> None:
    files.collection(tmp_path, ROWS, [files.failure("/lost")])
    manifest = read_manifest(str(tmp_path))
    found = standing_in(str(tmp_path), manifest, files.SPEC, settings_for(tmp_path))
    size = {name: (tmp_path / name).stat().st_size for name in (PARQUET, LOST)}
    assert sorted(found.files(), key=lambda file: file.name) == [
        StandingFile(LOST, UriSum.of(["/lost"]), size[LOST]),
        StandingFile(PARQUET, UriSum.of(["/a", "/b"]), size[PARQUET]),
    ]
    assert found.columns == files.LABEL
    assert sorted(found.known(f"{tmp_path}/", "parquet"), key=lambda file: file.path) == [
        KnownFile(f"{tmp_path}/{LOST}", False, ""),
        KnownFile(f"{tmp_path}/{PARQUET}", False, "parquet"),
    ]


def test_files_differ_by_carried_columns_and_those_of_parquet_by_the_type_of_vectors(tmp_path: pathlib.Path) -> None:
    manifest = files.collection(tmp_path, ROWS, vector_type="fixed_size_list")
    found = standing_in(str(tmp_path), manifest, files.SPEC, settings_for(tmp_path))
    other = pa.schema([("label", pa.string())])
    for format_ in ("parquet", "tfrecord"):
        assert not found.differs(format_, files.LABEL, "fixed_size_list")
        assert found.differs(format_, other, "fixed_size_list")
        assert not Standing().differs(format_, other, "list")
    assert found.differs("parquet", files.LABEL, "list")
    assert not found.differs("tfrecord", files.LABEL, "list")


def test_a_collection_whose_manifest_tells_no_type_of_vectors_has_lists(tmp_path: pathlib.Path) -> None:
    manifest = files.collection(tmp_path, ROWS)
    del manifest["collection"]["vector_type"]  # type: ignore[misc]
    found = standing_in(str(tmp_path), manifest, files.SPEC, settings_for(tmp_path))
    differs = [found.differs("parquet", files.LABEL, vector_type) for vector_type in ("list", "fixed_size_list")]
    assert differs == [False, True]


def test_rows_are_compared_with_one_format_and_its_parts(tmp_path: pathlib.Path) -> None:
    both = {"parquet": files.parquet(), "tfrecord": files.tfrecord()}
    manifest = files.collection(tmp_path, ROWS, formats=both)
    leave_parts(tmp_path, "DEAD", files.SPEC.fingerprint)
    flags = settings_for(tmp_path, "--output_format=tfrecord,parquet")
    found = standing_in(str(tmp_path), manifest, files.SPEC, flags)
    assert found.resumes == ("DEAD",)
    for format_, standing, part in (
        ("parquet", PARQUET, "0.parquet"),
        ("tfrecord", "tfrecord/embeddings-OLD-00000-of-00001.tfrecord.gz", "1.tfrecord.gz"),
    ):
        known = found.known(str(tmp_path), format_)
        assert sorted(known, key=lambda file: (file.is_part, file.path)) == [
            KnownFile(f"{tmp_path}/{standing}", False, format_),
            KnownFile(f"{tmp_path}/{SCRATCH}DEAD/{part}", True, format_),
            KnownFile(f"{tmp_path}/{SCRATCH}DEAD/2.jsonl", True, ""),
        ]


@pytest.mark.parametrize(
    ("existing", "fingerprint", "resumes"),
    [("refuse", files.SPEC.fingerprint, ("DEAD",)), ("update", "xyz", ()), ("replace", files.SPEC.fingerprint, ())],
)
def test_parts_are_taken_over_by_the_same_spec_unless_all_is_replaced(
    existing: str, fingerprint: str, resumes: tuple[str, ...], tmp_path: pathlib.Path
) -> None:
    leave_parts(tmp_path, "DEAD", fingerprint)
    settings = settings_of("photos", tmp_path, f"--existing={existing}")
    assert standing_in(str(tmp_path), None, files.SPEC, settings).resumes == resumes


def test_a_run_that_cannot_be_resumed_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UsageError, match="--resume NONE: there are no finished parts of such a run"):
        standing_in(str(tmp_path), None, files.SPEC, settings_for(tmp_path, "--resume=NONE"))


def test_another_spec_is_refused_with_the_fields_that_differ(tmp_path: pathlib.Path) -> None:
    files.collection(tmp_path, ROWS)
    manifest = read_manifest(str(tmp_path))
    assert manifest is not None
    other = spec(dim=4, image_size=(32, 32), weights="file", weights_sha256="0123456789abcdef0123456789abcdef")
    assert refused(tmp_path, manifest, other) == (
        " holds embeddings of another spec: weights random became file, weights_sha256  became 0123456789ab…, "
        f"image_size [224, 224] became [32, 32]; {INSTEAD}"
    )


def test_another_fraction_is_another_spec_also_for_a_collection_that_says_none(tmp_path: pathlib.Path) -> None:
    files.collection(tmp_path, ROWS)
    manifest = read_manifest(str(tmp_path))
    assert manifest is not None
    del manifest["embedding_spec"]["central_fraction"]
    assert standing_in(str(tmp_path), manifest, files.SPEC, settings_for(tmp_path)).manifest is manifest
    assert refused(tmp_path, manifest, dataclasses.replace(files.SPEC, central_fraction=0.875)) == (
        f" holds embeddings of another spec: central_fraction 1.0 became 0.875; {INSTEAD}"
    )


def test_long_values_that_begin_alike_are_told_apart(tmp_path: pathlib.Path) -> None:
    kwargs: list[dict[str, Any]] = [{"alpha": 0.5, "depth_multiplier": i} for i in (1, 2)]
    manifest = files.collection(tmp_path, ROWS)
    manifest["embedding_spec"] = dataclasses.asdict(spec(dim=4, backbone_kwargs=kwargs[0]))
    found = refused(tmp_path, manifest, spec(dim=4, backbone_kwargs=kwargs[1]))
    assert found.startswith(" holds embeddings of another spec: backbone_kwargs {'alpha': 0.")


def test_what_an_older_manifest_says_besides_is_not_named_and_hinders_nothing(tmp_path: pathlib.Path) -> None:
    manifest = files.collection(tmp_path, ROWS)
    manifest["embedding_spec"] = {**dataclasses.asdict(files.SPEC), "engine": "openvino"}
    assert standing_in(str(tmp_path), manifest, files.SPEC, settings_for(tmp_path)).manifest is manifest
    other = dataclasses.replace(files.SPEC, normalize=True)
    assert refused(tmp_path, manifest, other) == (
        f" holds embeddings of another spec: normalize False became True; {INSTEAD}"
    )


def test_a_collection_of_an_earlier_version_is_refused(tmp_path: pathlib.Path) -> None:
    manifest = files.collection(tmp_path, ROWS)
    del manifest["collection"]  # type: ignore[misc]
    assert refused(tmp_path, manifest) == f" was made by an earlier version, and cannot be updated; {INSTEAD}"


def test_other_formats_are_refused(tmp_path: pathlib.Path) -> None:
    manifest = files.collection(tmp_path, ROWS)
    for flag in ("tfrecord", "parquet,tfrecord"):
        assert refused(tmp_path, manifest, files.SPEC, f"--output_format={flag}") == (
            f" holds parquet; give --output_format parquet, or {INSTEAD}"
        )


def test_a_collection_without_rows_takes_any_format(tmp_path: pathlib.Path) -> None:
    manifest = files.collection(tmp_path, [], [files.failure("/lost")])
    assert standing_in(str(tmp_path), manifest, files.SPEC, settings_for(tmp_path, "--output_format=tfrecord"))


def test_another_number_of_classes_is_refused(tmp_path: pathlib.Path) -> None:
    manifest = files.collection(tmp_path, ROWS, formats={"parquet": files.parquet(top_k=5)}, top_k=5)
    assert refused(tmp_path, manifest) == f" was made with --top_k 5; give it, or {INSTEAD}"


@pytest.mark.parametrize("name", ["parquet/notes.parquet", "failures/.hidden", "parquet/embeddings-mine.parquet"])
def test_a_file_that_no_run_wrote_is_refused(name: str, tmp_path: pathlib.Path) -> None:
    """A reader of the folder takes it for part of the collection."""
    manifest = files.collection(tmp_path, ROWS)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    assert refused(tmp_path, manifest) == f" holds {name}, which no run wrote; move it elsewhere"


def test_files_beside_the_collection_and_those_of_other_runs_hinder_nothing(tmp_path: pathlib.Path) -> None:
    manifest = files.collection(tmp_path, ROWS)
    for name in ("README", "notes/a.parquet", FEATURES, "parquet/embeddings-DEAD-00000-of-00001.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert standing_in(str(tmp_path), manifest, files.SPEC, settings_for(tmp_path)).manifest is manifest


@pytest.mark.parametrize("change", ["remove", "shorten"])
def test_a_file_that_is_not_as_it_was_written_is_refused(change: str, tmp_path: pathlib.Path) -> None:
    """A TFRecord that was cut off may read like a whole one. (1e)"""
    manifest = files.collection(tmp_path, ROWS)
    if change == "remove":
        (tmp_path / PARQUET).unlink()
    else:
        (tmp_path / PARQUET).write_bytes((tmp_path / PARQUET).read_bytes()[:-1])
    assert refused(tmp_path, manifest) == f": {PARQUET} was removed or changed; restore it, or {INSTEAD}"
