"""A whole model in a bucket on Dataflow: what is submitted, and what a worker embeds with it, up to the wire."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from apache_beam.io.filesystems import FileSystems

from pipelines.command import main
from tests.end_to_end.test_embed_images import table_of
from tests.servers.dataflow import DataflowServer
from tests.servers.gcs import GcsServer
from tests.transforms.backbones.own.conftest import fine_tuned, network, saved
from transforms.backbones import loaded
from transforms.collection.manifest import read_manifest
from transforms.core.errors import UsageError
from transforms.storage.hashing import sha256_of_files


@dataclasses.dataclass
class Model:
    """A model on the local disk and in a bucket.

    Attributes:
      local: its path on the disk.
      uri: its path in the bucket.
      data: the object there that holds its weights.
      flags: those that it needs beside `--model`.
    """

    local: pathlib.Path
    uri: str
    data: str
    flags: list[str]


def as_keras(folder: pathlib.Path, bucket: str) -> Model:
    fine_tuned().save(folder / "mine.keras")
    name = "models/mine.keras"
    return Model(folder / "mine.keras", f"gs://{bucket}/{name}", name, [])


def as_onnx(folder: pathlib.Path, bucket: str) -> Model:
    """A folder, since its data is in a file of its own."""
    saved(network(), folder / "mine.onnx", beside="mine.data")
    return Model(folder, f"gs://{bucket}/models", "models/mine.data", ["--preprocess", "torch"])


@pytest.fixture(params=[as_keras, as_onnx])
def model(
    request: pytest.FixtureRequest, dataflow: DataflowServer, storage: GcsServer, tmp_path: pathlib.Path
) -> Model:
    folder = tmp_path / "models"
    folder.mkdir()
    found: Model = request.param(folder, dataflow.bucket)
    storage.put_folder(folder, "models")
    return found


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what makes this process one that has loaded nothing, as a worker is."""
    return lambda: monkeypatch.setattr(loaded, "_loaded", {})


@pytest.fixture
def job(model: Model, dataflow: DataflowServer, photos: pathlib.Path) -> list[str]:
    """The flags that embed ten images of the bucket with the model there."""
    output = f"gs://{dataflow.bucket}/out"
    flags = ["--input", dataflow.upload(photos), "--output", output, "--model", model.uri, *model.flags]
    return [*flags, *dataflow.flags, "--no_wait"]


def rows_of(output: str, folder: pathlib.Path) -> pd.DataFrame:
    """Copy what a job has written out of its bucket; return the rows."""
    manifest = read_manifest(output)
    assert manifest is not None
    for file in manifest["files"]:
        (folder / file["name"]).parent.mkdir(parents=True, exist_ok=True)
        with FileSystems.open(f"{output}/{file['name']}") as f:
            (folder / file["name"]).write_bytes(f.read())
    return pd.concat(map(pd.read_parquet, folder.glob("parquet/*")))


def by_name(rows: pd.DataFrame) -> dict[str, Any]:
    return {uri.rpartition("/")[2]: vector for uri, vector in zip(rows["uri"], rows["embedding"], strict=True)}


@pytest.mark.exhaustive
def test_a_job_names_the_model_and_its_workers_embed_with_it_as_with_the_local_file(
    model: Model,
    job: list[str],
    dataflow: DataflowServer,
    storage: GcsServer,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    forget: Callable[[], None],
) -> None:
    assert main([*job, "--weights_sha256", sha256_of_files(str(model.local))]) == 0
    (body,) = dataflow.submitted
    name = model.uri.rpartition("/")[2].replace(".", "-")
    assert body["name"].startswith(f"embed-images-{name}-2")
    assert body["labels"]["backbone"] == name
    forget()
    storage.log.clear()
    dataflow.run_staged()
    assert storage.asked(f"{model.data.replace('/', '%2F')}?alt=media") == 1
    local = ["--input", str(photos), "--output", str(tmp_path / "local"), "--model", str(model.local), *model.flags]
    assert main(local) == 0
    found, expected = (
        by_name(rows_of(f"gs://{dataflow.bucket}/out", tmp_path / "job")),
        by_name(table_of(tmp_path / "local")),
    )
    assert len(found) == 10
    assert found.keys() == expected.keys()
    for image, vector in found.items():
        np.testing.assert_allclose(vector, expected[image], rtol=1e-4, atol=1e-5)


@pytest.mark.exhaustive
def test_a_model_of_another_sha256_is_never_submitted(
    job: list[str], dataflow: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*job, "--weights_sha256", "0" * 64]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"not the --weights_sha256 {'0' * 64}" in line
    assert dataflow.requests == []


@pytest.mark.exhaustive
def test_a_model_that_is_replaced_before_a_worker_reads_it_fails_the_job(
    model: Model, job: list[str], dataflow: DataflowServer, storage: GcsServer, forget: Callable[[], None]
) -> None:
    """Else its vectors would be written under the fingerprint of the one that was checked."""
    assert main(job) == 0
    forget()
    changed = bytearray(storage.get(model.data))
    changed[len(changed) // 2] ^= 1
    storage.put(model.data, bytes(changed))
    with pytest.raises(UsageError, match=f"--model {model.uri} has sha256 .*, not the --weights_sha256 "):
        dataflow.run_staged()
    assert read_manifest(f"gs://{dataflow.bucket}/out") is None
