"""The command with everything on gs://: the same result as on the local disk, whatever goes wrong on the way."""

import io
import json
import pathlib
import subprocess
import sys
import threading

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from pipelines.command import main
from tests.conftest import exhaustive, sample_image
from tests.servers.gcs import GcsServer
from transforms.backbones import Backbone, load_backbone
from transforms.backbones.kept import graphs
from transforms.storage.gcs import PAYS
from transforms.storage.hashing import sha256_of_files

ROOT = pathlib.Path(__file__).parents[2]
LIGHT = ["--backbone", "MobileNet", "--backbone_kwargs", '{"alpha": 0.25}', "--image_size", "32", "--normalize"]
LIGHT += ["--weights", "random"]


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def manifest_of(gcs: GcsServer, output: str) -> dict:
    return json.loads(gcs.get(f"{output}/manifest.json"))


def table_of(gcs: GcsServer, output: str) -> pd.DataFrame:
    names = [f["name"] for f in manifest_of(gcs, output)["files"] if f["name"].endswith(".parquet")]
    tables = [pd.read_parquet(io.BytesIO(gcs.get(f"{output}/{name}"))) for name in names]
    return pd.concat(tables).sort_values("uri", ignore_index=True)


def local_table(output: pathlib.Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(f) for f in output.glob("parquet/*")]).sort_values("uri", ignore_index=True)


def assert_same(table: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Compare all but the uris' folder."""
    name = [uri.rpartition("/")[2] for uri in table.uri]
    assert name == [uri.rpartition("/")[2] for uri in expected.uri]
    assert list(table.sha256) == list(expected.sha256)
    np.testing.assert_allclose(np.stack(table.embedding), np.stack(expected.embedding), atol=1e-6)


@pytest.fixture
def expected(photos: pathlib.Path, tmp_path: pathlib.Path) -> pd.DataFrame:
    """What a run on the local disk gives."""
    assert run("--input", photos, "--output", tmp_path / "local", *LIGHT) == 0
    return local_table(tmp_path / "local")


def test_uri_list_and_images_in_parquet_and_tfrecord_out(
    gcs: GcsServer, photos: pathlib.Path, tmp_path: pathlib.Path, expected: pd.DataFrame
) -> None:
    gcs.put_folder(photos, "photos")
    rows = [f"{path.relative_to(photos)},{i}" for i, path in enumerate(sorted(photos.rglob("*.jpg")))]
    rows += ["none.jpg,98", f"gs://no-{gcs.bucket}/a.jpg,99"]
    uri_list = gcs.put("photos/list.csv", "\n".join(["uri,n", *rows, ""]).encode())
    for fault in (503, "corrupt"):
        gcs.fail(fault, matching="/o/photos%2Flist.csv?alt=media")
    both = ["--output_format", "parquet,tfrecord"]
    assert run("--input", uri_list, "--output", f"gs://{gcs.bucket}/out", *LIGHT, *both) == 0
    table = table_of(gcs, "out")
    assert_same(table, expected)
    assert list(table.n) == list(range(10))
    assert all(uri.startswith(f"gs://{gcs.bucket}/photos/") for uri in table.uri)
    found = manifest_of(gcs, "out")
    assert found["counts"] == {"inputs": 12, "embedded": 10, "failed": 2, "skipped": 0, "duplicates": 0}
    assert {reason: seen["count"] for reason, seen in found["failures"].items()} == {
        "not_found": 1,
        "bucket_not_found": 1,
    }
    assert sorted(gcs.names("out/")) == sorted(
        f"out/{name}" for name in ["manifest.json", "tfrecord/features.json", *(f["name"] for f in found["files"])]
    )
    (name,) = (f["name"] for f in found["files"] if f["name"].endswith(".tfrecord.gz"))
    (tmp_path / "rows").write_bytes(gcs.get(f"out/{name}"))
    records = tf.data.TFRecordDataset(str(tmp_path / "rows"), compression_type="GZIP")
    features = {"uri": tf.io.FixedLenFeature([], tf.string), "embedding": tf.io.FixedLenFeature([256], tf.float32)}
    examples = [tf.io.parse_single_example(record, features) for record in records]
    by_uri = {example["uri"].numpy().decode(): example["embedding"].numpy() for example in examples}
    assert sorted(by_uri) == list(table.uri)
    for uri, vector in zip(table.uri, table.embedding, strict=True):
        np.testing.assert_array_equal(by_uri[uri], vector)


def test_a_folder_whose_every_request_has_trouble_gives_the_same(
    gcs: GcsServer, photos: pathlib.Path, expected: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = gcs.put_folder(photos, "photos")
    for fault in (503, 429, "reset", "cut", "short", "corrupt", "slow"):
        gcs.fail(fault, times=2, matching="/o/photos%2F")
    assert run("--input", folder, "--output", f"gs://{gcs.bucket}/out", *LIGHT) == 0
    assert_same(table_of(gcs, "out"), expected)
    assert all(fault.times == 0 for fault in gcs.faults)


def test_a_bucket_whose_requester_pays_is_read_for_the_project_that_the_flag_names(
    gcs: GcsServer,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    expected: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What the command sets is gone after the test.
    monkeypatch.setenv(PAYS, "")
    folder = gcs.put_folder(photos, "photos")
    gcs.requester_pays = True
    assert run("--input", folder, "--output", tmp_path / "out", *LIGHT, "--billing_project=mine") == 0
    assert_same(local_table(tmp_path / "out"), expected)


@pytest.mark.parametrize("seconds", [1.5, *exhaustive(20.0)])
def test_a_bucket_that_refuses_all_reads_for_a_time_loses_no_image(
    strict_gcs: GcsServer, photos: pathlib.Path, expected: pd.DataFrame, seconds: float
) -> None:
    folder = strict_gcs.put_folder(photos, "photos")
    strict_gcs.fail(429, times=1_000_000, matching="/o/photos%2F")
    # From the first refusal on.
    strict_gcs.before("/o/photos%2F", threading.Timer(seconds, strict_gcs.faults.clear).start)
    strict_gcs.faults.reverse()
    assert run("--input", folder, "--output", f"gs://{strict_gcs.bucket}/out", *LIGHT) == 0
    assert_same(table_of(strict_gcs, "out"), expected)
    # All threads together ask no more than once a second in the end, not each of 16.
    assert 10 < strict_gcs.asked("/o/photos%2F") < 60


@pytest.mark.exhaustive
@pytest.mark.parametrize("status", [429, 503])
def test_lists_and_writes_that_are_refused_for_now_are_tried_again(
    status: int, gcs: GcsServer, photos: pathlib.Path, expected: pd.DataFrame
) -> None:
    folder = gcs.put_folder(photos, "photos")
    for matching in ("GET /storage/v1/b/{bucket}/o?", "POST /upload/", "/o/out%2F", "POST /batch"):
        gcs.fail(status, matching=matching.format(bucket=gcs.bucket))
    assert run("--input", folder, "--output", f"gs://{gcs.bucket}/out", *LIGHT) == 0
    assert_same(table_of(gcs, "out"), expected)
    found = manifest_of(gcs, "out")
    assert sorted(gcs.names("out/")) == sorted(["out/manifest.json", *(f"out/{f['name']}" for f in found["files"])])
    assert [fault.matching for fault in gcs.faults if fault.times] == []


def test_names_of_all_kinds_are_found_in_a_folder(strict_gcs: GcsServer, tmp_path: pathlib.Path) -> None:
    sample_image(1, 64, 48).save(tmp_path / "x.jpg")
    names = ["a b.jpg", "50%.jpg", "%20.jpg", "#1.jpg", "ä/日本.jpg", "[1]*?.jpg", "a&b=c+d.jpg"]
    for i, name in enumerate(names):
        sample_image(i, 64, 48).save(tmp_path / "x.jpg")
        strict_gcs.put(f"odd [x]/{name}", (tmp_path / "x.jpg").read_bytes())
    folder, output = f"gs://{strict_gcs.bucket}/odd [x]", f"gs://{strict_gcs.bucket}/out #1 [y]"
    assert run("--input", folder, "--output", output, *LIGHT) == 0
    assert sorted(table_of(strict_gcs, "out #1 [y]").uri) == sorted(f"{folder}/{name}" for name in names)


def test_a_finished_run_is_refused_and_replaced_when_told_so(
    gcs: GcsServer, photos: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = f"gs://{gcs.bucket}/out"
    assert run("--input", photos, "--output", output, *LIGHT) == 0
    first = manifest_of(gcs, "out")
    assert run("--input", photos, "--output", output, *LIGHT) == 2
    assert "holds a collection" in capsys.readouterr().err
    assert run("--input", photos, "--output", output, "--existing=replace", *LIGHT) == 0
    second = manifest_of(gcs, "out")
    assert first["run_id"] != second["run_id"]
    assert sorted(gcs.names("out/")) == sorted(["out/manifest.json", *(f"out/{f['name']}" for f in second["files"])])


def test_of_two_runs_at_once_the_one_that_ends_later_fails(
    strict_gcs: GcsServer, photos: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """(1a)"""
    output = f"gs://{strict_gcs.bucket}/out"
    winners: list[int] = []
    strict_gcs.put_folder(photos, "photos")
    other = ("--input", photos, "--output", output, *LIGHT)
    # An image that one run asks for is held until the other run has ended.
    strict_gcs.before("photos%2Fa%2F1.jpg?alt=media", lambda: winners.append(run(*other)))
    assert run("--input", f"gs://{strict_gcs.bucket}/photos", "--output", output, *LIGHT) == 1
    assert winners == [0]
    found = manifest_of(strict_gcs, "out")
    assert f"run {found['run_id']} was committed to {output} meanwhile, and stands" in capsys.readouterr().err
    assert all(uri.startswith(str(photos)) for uri in table_of(strict_gcs, "out").uri)
    # What the other one finished is kept for the next run.
    names = [name for name in strict_gcs.names("out/") if not name.startswith("out/.run-")]
    assert sorted(names) == sorted(["out/manifest.json", *(f"out/{f['name']}" for f in found["files"])])


def test_a_commit_that_is_tried_again_meets_itself(strict_gcs: GcsServer, photos: pathlib.Path) -> None:
    # The put goes through, and its answer does not.
    strict_gcs.fail("lost", matching="ifGenerationMatch=0")
    output = f"gs://{strict_gcs.bucket}/out"
    assert run("--input", photos, "--output", output, "--output_format", "parquet,tfrecord", *LIGHT) == 0
    assert manifest_of(strict_gcs, "out")["counts"]["embedded"] == 10


@pytest.fixture
def model() -> keras.Model:
    """What LIGHT says, built by Keras with the seeded random weights."""
    keras.utils.set_random_seed(0)
    arguments = {"alpha": 0.25, "include_top": False, "pooling": "avg", "input_shape": (32, 32, 3)}
    return keras.applications.MobileNet(weights=None, **arguments)


@pytest.fixture
def weights(model: keras.Model, tmp_path: pathlib.Path) -> pathlib.Path:
    """A weights file that the seeded random weights are in."""
    model.save_weights(tmp_path / "mobilenet.weights.h5")
    return tmp_path / "mobilenet.weights.h5"


FETCH_WEIGHTS = """
import sys
from transforms.storage.hashing import sha256_of_files
from transforms.backbones.weights.files import local_copy
print("ready", flush=True)
sys.stdin.readline()
with local_copy(sys.argv[1], lambda local: None) as local:
    print(sha256_of_files(local), local)
"""


@pytest.mark.exhaustive
def test_eight_processes_at_once_fetch_the_weights_once(
    gcs: GcsServer, weights: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBED_IMAGES_CACHE", str(tmp_path / "cache"))
    uri = gcs.put("mobilenet.weights.h5", weights.read_bytes())
    for fault in ("cut", "corrupt", 503, "slow"):
        gcs.fail(fault)
    command = [sys.executable, "-c", FETCH_WEIGHTS, uri]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    outputs = {process.communicate("go\n")[0] for process in processes}
    assert [process.returncode for process in processes] == [0] * 8
    (output,) = outputs
    assert output.split()[0] == sha256_of_files(str(weights))
    # Three attempts went wrong, the fourth was slow, and nobody else asked.
    assert gcs.asked() == 4
    (kept,) = [entry.name for entry in (tmp_path / "cache").iterdir() if entry.is_dir()]
    assert kept in output


@pytest.mark.exhaustive
@pytest.mark.parametrize("cache", ["cache", ""])
def test_weights_on_gcs_are_those_of_the_file(
    cache: str,
    gcs: GcsServer,
    weights: pathlib.Path,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    expected: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EMBED_IMAGES_CACHE", str(tmp_path / cache) if cache else "")
    uri = gcs.put("mobilenet.weights.h5", weights.read_bytes())
    flags = [*LIGHT[:-1], uri, "--weights_sha256", sha256_of_files(str(weights))]
    assert run("--input", photos, "--output", tmp_path / "out", *flags) == 0
    assert_same(local_table(tmp_path / "out"), expected)
    assert gcs.asked() == 1


def test_weights_of_another_sha256_are_not_kept(
    gcs: GcsServer,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EMBED_IMAGES_CACHE", str(tmp_path / "cache"))
    uri = gcs.put("mobilenet.weights.h5", b"not what was promised")
    flags = [*LIGHT[:-1], uri, "--weights_sha256", "0" * 64]
    assert run("--input", photos, "--output", tmp_path / "out", *flags) == 2
    assert f"--weights {uri} has sha256" in capsys.readouterr().err
    assert [entry for entry in (tmp_path / "cache").iterdir() if entry.is_dir()] == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("cache", ["cache", ""])
def test_a_saved_model_on_gcs_is_used_when_it_is_trusted(
    cache: str,
    gcs: GcsServer,
    model: keras.Model,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    expected: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EMBED_IMAGES_CACHE", str(tmp_path / cache) if cache else "")
    model.export(tmp_path / "saved", verbose=False)
    (tmp_path / "saved" / "assets" / "of").mkdir(parents=True, exist_ok=True)
    (tmp_path / "saved" / "assets" / "of" / "mine.txt").write_text("kept")
    uri = gcs.put_folder(tmp_path / "saved", "models/of-mine")
    flags = ["--input", photos, "--output", tmp_path / "out", "--model", f"{uri}/"]
    assert run(*flags) == 2
    assert "add --trust_model if you know who made it" in capsys.readouterr().err
    assert run(*flags, "--normalize", "--trust_model", "--preprocess", "tf") == 0
    assert_same(local_table(tmp_path / "out"), expected)
    # Without a cache it is copied twice: to see what it takes, and to build its graph.
    assert gcs.asked() == len(gcs.names("models/")) * (1 if cache else 2)


def test_the_graph_of_weights_on_gcs_is_kept_until_they_change(
    gcs: GcsServer, weights: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBED_IMAGES_CACHE", str(tmp_path / "cache"))
    uri = gcs.put("mobilenet.weights.h5", weights.read_bytes())
    backbone = Backbone("MobileNet", weights=uri, image_size=(32, 32), backbone_kwargs={"alpha": 0.25})
    assert graphs.find(graphs.name_of(backbone)) is None
    load_backbone(backbone)
    assert graphs.find(graphs.name_of(backbone)) is not None
    gcs.put("mobilenet.weights.h5", weights.read_bytes())
    assert graphs.find(graphs.name_of(backbone)) is None


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--input", "gs://{bucket}/none"], "nothing matches --input gs://{bucket}/none"),
        (["--input", "gs://no-{bucket}/a"], "there is no bucket gs://no-{bucket}, which gs://no-{bucket}/a is in"),
        (["--input", "{photos}", "--output", "gs://no-{bucket}/out"], "there is no bucket gs://no-{bucket}, which"),
        (["--input", "{photos}", "--weights", "gs://{bucket}/a.weights.h5"], "no such object: gs://{bucket}/a.weights"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(
    gcs: GcsServer,
    flags: list[str],
    says: str,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = [flag.format(bucket=gcs.bucket, photos=photos) for flag in flags]
    assert run("--output", tmp_path / "out", *LIGHT, *flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says.format(bucket=gcs.bucket) in line


def test_failures_of_local_images_are_retried_from_a_bucket(
    gcs: GcsServer, photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (photos / "bad.jpg").write_bytes(b"bad")
    output = f"gs://{gcs.bucket}/out"
    assert run("--input", photos, "--output", output, *LIGHT) == 0
    (photos / "bad.jpg").write_bytes(next(photos.glob("a/*.jpg")).read_bytes())
    assert run("--input", f"{output}/failures/*.jsonl", "--output", tmp_path / "retried", *LIGHT) == 0
    assert list(local_table(tmp_path / "retried").uri) == [str(photos / "bad.jpg")]
