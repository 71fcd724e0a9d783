"""What is refused before any work: outputs that cannot be used, a GPU that is not there."""

import json
import os
import pathlib
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.command import main
from pipelines.plan.checks import check_gpu, check_output
from pipelines.plan.plan import Plan, make_plan
from pipelines.plan.runner import Where
from tests.pipelines.conftest import LIGHT, files_in, settings_of
from tests.servers.gcs import GcsServer
from transforms import Backbone, ReadImageUris
from transforms.core.errors import UsageError

FLAT = {
    "embeddings": "embeddings-20260101T000000-a1b2c3-00000-of-00001.parquet",
    "failures": "failures-20260101T000000-a1b2c3-00000-of-00001.jsonl",
    "records": "embeddings-20260101T000000-a1b2c3-00000-of-00001.tfrecord.gz",
}
"""Names in a manifest of a version that had all files in one folder."""


def planned(photos: pathlib.Path, output: pathlib.Path | str, *flags: str) -> Plan:
    return make_plan(settings_of(photos, output, *flags), Where())


def with_manifest(folder: pathlib.Path, *names: str) -> pathlib.Path:
    folder.mkdir()
    files = [{"name": name, "rows": 1, "bytes": 1} for name in names]
    (folder / "manifest.json").write_text(json.dumps({"run_id": "20260101T000000-a1b2c3", "files": files}))
    return folder


@pytest.mark.parametrize(
    ("engine", "message"),
    [("auto", "TensorFlow sees no GPU here"), ("openvino", "needs --engine tensorflow, is openvino")],
)
def test_a_required_gpu_that_is_not_here_is_missed_at_once(
    engine: str, message: str, photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.backbones.engines.tensorflow.device", lambda: "CPU")
    with pytest.raises(UsageError, match=message):
        planned(photos, tmp_path / "out", "--require_gpu", "--engine", engine)


def test_a_required_gpu_that_is_here_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.backbones.engines.tensorflow.device", lambda: "GPU")
    check_gpu([Backbone("MobileNet"), Backbone("VGG16")])
    with pytest.raises(UsageError, match="needs --engine tensorflow"):
        check_gpu([Backbone("MobileNet"), Backbone("VGG16", engine="openvino")])


@pytest.mark.parametrize("inside", ["a", "a/new/deep", "."])
def test_an_output_inside_an_input_folder_is_refused(inside: str, photos: pathlib.Path) -> None:
    with pytest.raises(UsageError, match="lies in an --input folder"):
        planned(photos, photos / inside)


@pytest.mark.parametrize("inside", ["t", "t/new", "t/label=a/new"])
def test_an_output_inside_a_folder_of_parquet_is_refused_and_one_beside_a_list_is_not(
    inside: str, tmp_path: pathlib.Path
) -> None:
    """(2e) The next run would take the folder for one of images."""
    path = tmp_path / "t" / "label=a" / "p.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"uri": ["/a.jpg"]}), path)
    with pytest.raises(UsageError, match="lies in an --input folder and would become input"):
        check_output(str(tmp_path / inside), ReadImageUris([str(tmp_path / "t")]), existing="refuse")
    check_output(str(tmp_path / inside), ReadImageUris([str(path)]), existing="refuse")


def test_an_output_beside_the_input_with_its_name_as_a_start_is_none_inside(photos: pathlib.Path) -> None:
    assert planned(photos, f"{photos}-embedded").targets[0].output == f"{photos}-embedded"


def test_a_finished_run_is_refused_unless_it_may_be_replaced(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    name = "parquet/embeddings-20260101T000000-a1b2c3-00000-of-00001.parquet"
    out = with_manifest(tmp_path / "out", name, "failures/failures-20260101T000000-a1b2c3-00000-of-00001.jsonl")
    with pytest.raises(
        UsageError,
        match="holds a collection; add --existing update",
    ):
        planned(photos, out)
    assert planned(photos, out, "--existing=replace").targets


def test_a_finished_run_that_wrote_nothing_is_replaced_too(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    out = with_manifest(tmp_path / "out")
    with pytest.raises(UsageError, match="holds a collection"):
        planned(photos, out)
    assert planned(photos, out, "--existing=replace").targets


@pytest.mark.parametrize("overwrite", [[], ["--existing=replace"]])
@pytest.mark.parametrize("names", [["embeddings"], ["embeddings", "failures"], ["records"], ["failures"]])
def test_a_run_with_all_files_in_one_folder_is_refused_in_one_line_and_left_as_it_is(
    names: list[str],
    overwrite: list[str],
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = with_manifest(tmp_path / "out", *(FLAT[name] for name in names))
    for name in names:
        (out / FLAT[name]).write_text("as it was")
    before = {name: (out / name).read_bytes() for name in files_in(out)}
    assert main(["--input", str(photos), "--output", str(out), *LIGHT, *overwrite]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        f"embed-images: --output {out} holds a run of an older version, with all files in one folder; "
        "choose another folder\n"
    )
    assert {name: (out / name).read_bytes() for name in files_in(out)} == before


@pytest.mark.parametrize("output", ["foo://x/y", "http://me:secret@h/out?sig=secret", "https://h/out"])
def test_an_output_that_nothing_writes_to_is_refused(output: str, photos: pathlib.Path) -> None:
    """(4e) A traceback would show the secrets."""
    with pytest.raises(UsageError, match=r"nothing here writes to \w+://"):
        planned(photos, output)


@pytest.mark.parametrize(
    "content",
    ['{"run_id": "x", "files": null}', '{"run_id": "x", "files": [7]}', '{"run_id": "x", "files": [{}]}', "7"],
)
def test_an_odd_manifest_does_not_keep_a_run_from_replacing_it(
    content: str, photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """(1b)"""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text(content)
    planned(photos, tmp_path / "out", "--existing=replace")
    with pytest.raises(UsageError, match="that is no manifest"):
        planned(photos, tmp_path / "out")


def test_a_manifest_that_is_none_is_not_taken_for_a_finished_run(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text("{half")
    with pytest.raises(UsageError, match=r"a manifest\.json that is no manifest .*replace it with --existing replace"):
        planned(photos, tmp_path / "out")


def test_an_output_below_a_file_is_refused(photos: pathlib.Path) -> None:
    with pytest.raises(UsageError, match=r"0\.jpg is not a folder"):
        planned(photos / "a", photos / "b" / "0.jpg" / "out")


@pytest.fixture
def locked(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder that this process's real user may not write to."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    user = os.getuid()
    # Permissions do not bind root, and os.access asks for the real user: as root, be another one for a while.
    if user == 0:
        os.setreuid(65534, -1)
    yield folder
    if user == 0:
        os.setreuid(0, -1)


def test_an_output_that_cannot_be_written_to_is_refused(photos: pathlib.Path, locked: pathlib.Path) -> None:
    with pytest.raises(UsageError, match=f"cannot write to --output {locked}/out: no permission in {locked}"):
        planned(photos, locked / "out")
    assert not (locked / "out").exists()


def test_the_versions_that_a_run_may_replace_are_those_of_the_look(strict_gcs: GcsServer, photos: pathlib.Path) -> None:
    """(1a)"""
    source, output = ReadImageUris([str(photos)]), f"gs://{strict_gcs.bucket}/out"
    assert check_output(output, source, existing="refuse").replaceable == {
        "manifest.json": "",
        "tfrecord/features.json": "",
    }
    strict_gcs.put("out/manifest.json", json.dumps({"run_id": "old", "files": []}).encode())
    with pytest.raises(UsageError, match="holds a collection"):
        check_output(output, source, existing="refuse")
    seen = check_output(output, source, existing="replace").replaceable
    assert int(seen["manifest.json"]) > 0
    assert seen["tfrecord/features.json"] == ""


def test_a_local_file_has_a_version_too(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """(1a)"""
    source, output = ReadImageUris([str(photos)]), tmp_path / "out"
    assert check_output(str(output), source, existing="refuse").replaceable == {
        "manifest.json": "",
        "tfrecord/features.json": "",
    }
    output.mkdir()
    (output / "manifest.json").write_text(json.dumps({"run_id": "old", "files": []}))
    seen = check_output(str(output), source, existing="replace").replaceable
    (output / "manifest.json").write_text(json.dumps({"run_id": "new", "files": []}))
    assert check_output(str(output), source, existing="replace").replaceable["manifest.json"] not in (
        "",
        seen["manifest.json"],
    )
