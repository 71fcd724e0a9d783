"""The manifest of a small run, whole, against the one that is checked in."""

import dataclasses
import datetime
import json
import pathlib
import platform
from typing import Any

import keras
import numpy as np
import PIL
import pyarrow.parquet
import pytest

from pipelines.command import main
from tests.conftest import sample_image
from transforms import Backbone, EmbeddingSpec
from transforms.backbones import load_backbone
from transforms.backbones.engines.devices import model_of
from transforms.collection.manifest import (
    CanaryEntry,
    Counts,
    FileEntry,
    Health,
    Manifest,
    ReasonEntry,
    Times,
    WorkerEntry,
)
from transforms.commit.commit import DECIDING
from transforms.embed.canary import Canary
from transforms.embed.reference_images import reference_images

GOLDEN = pathlib.Path(__file__).with_name("golden_manifest.json")
"""Where a change of the format is meant, put there what the failed comparison shows."""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """What a run makes of one good image, which is named twice, and an empty file."""
    folder = tmp_path_factory.mktemp("run")
    photos = folder / "photos"
    photos.mkdir()
    sample_image(1, 64, 48).save(photos / "good.png")
    (photos / "broken.jpg").touch()
    (photos / "list.csv").write_text("uri,label\ngood.png,a\ngood.png,b\nbroken.jpg,c\n")
    flags = ["--backbone", "MobileNet", "--backbone_kwargs", '{"alpha": 0.25}', "--weights", "random"]
    flags += ["--image_size", "32", "--engine", "tensorflow", "--output_format", "parquet,tfrecord"]
    assert main(["--input", str(photos / "list.csv"), "--output", str(folder / "out"), *flags]) == 0
    return folder / "out"


@pytest.fixture
def manifest(output: pathlib.Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
    return found


def without_what_differs(manifest: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Return a manifest in which all that differs between two runs has the name of its kind instead."""
    text = json.dumps(manifest).replace(manifest["run_id"], "RUN").replace(str(folder), "/FOLDER")
    same: dict[str, Any] = json.loads(text)
    same["versions"] = dict.fromkeys(same["versions"], "VERSION")
    same["times"] = dict.fromkeys(same["times"], "TIME")
    same["files"] = [{**file, "uris": "URIS", "bytes": "BYTES"} for file in same["files"]]
    same["canary"] = {**same["canary"], "vectors": "VECTORS"}
    same["workers"] = [{**worker, "version": "VERSION", "processor": "PROCESSOR"} for worker in same["workers"]]
    (run,) = same["collection"]["runs"]
    run.update(
        times=same["times"], seconds="SECONDS", images_per_second="FLOAT", stages=dict.fromkeys(run["stages"], "FLOAT")
    )
    same["health"] = {k: "FLOAT" if isinstance(v, float) else v for k, v in same["health"].items()}
    return same


def test_the_manifest_is_the_golden_one_but_for_what_differs_between_runs(
    manifest: dict[str, Any], output: pathlib.Path
) -> None:
    found = without_what_differs(manifest, output.parent)
    # As text, so that the order counts.
    assert json.dumps(found, indent=2) + "\n" == GOLDEN.read_text(encoding="utf-8")


def test_the_keys_of_the_manifest_are_exactly_those_of_its_types(manifest: dict[str, Any]) -> None:
    def keys(type_: type) -> set[str]:
        return set(type_.__annotations__)

    assert set(manifest) == keys(Manifest)
    assert set(manifest["counts"]) == keys(Counts)
    assert set(manifest["health"]) == keys(Health)
    assert set(manifest["times"]) == keys(Times)
    assert set(manifest["canary"]) == keys(CanaryEntry)
    assert [set(worker) for worker in manifest["workers"]] == [keys(WorkerEntry)]
    assert [set(file) for file in manifest["files"]] == [keys(FileEntry)] * 3
    assert [set(reason) for reason in manifest["failures"].values()] == [keys(ReasonEntry)]
    assert set(manifest["embedding_spec"]) == {field.name for field in dataclasses.fields(EmbeddingSpec)}
    assert set(manifest["versions"]) == {"python", *DECIDING}
    assert manifest["features"] is not None


def test_what_differs_between_runs_is_true(manifest: dict[str, Any], output: pathlib.Path) -> None:
    on_disk = {str(p.relative_to(output)): p.stat().st_size for p in output.glob("*/*") if p.name != "features.json"}
    assert {f["name"]: f["bytes"] for f in manifest["files"]} == on_disk
    assert all(f["name"].partition("-")[2].startswith(manifest["run_id"]) for f in manifest["files"])
    versions = manifest["versions"]
    installed = (platform.python_version(), keras.__version__, PIL.__version__, pyarrow.__version__, np.__version__)
    assert tuple(versions[name] for name in ("python", "keras", "pillow", "pyarrow", "numpy")) == installed
    started, finished = (datetime.datetime.fromisoformat(manifest["times"][name]) for name in ("started", "finished"))
    assert started <= finished
    assert started.utcoffset() == finished.utcoffset() == datetime.timedelta()
    assert manifest["features"] == json.loads((output / "tfrecord" / "features.json").read_text(encoding="utf-8"))
    (worker,) = manifest["workers"]
    assert worker["version"] == versions["tensorflow"]
    assert worker["processor"] == model_of("CPU")
    backbone = Backbone("MobileNet", "random", backbone_kwargs={"alpha": 0.25}, image_size=(32, 32))
    vectors = load_backbone(backbone)(reference_images((32, 32)))
    np.testing.assert_allclose(Canary.of(manifest["canary"]).vectors, vectors, rtol=1e-4, atol=1e-5)
    (vector,) = pyarrow.parquet.read_table(output / "parquet")["embedding"].to_pylist()
    health = manifest["health"]
    norms = [health["norm_min"], health["norm_mean"], health["norm_max"]]
    assert norms == pytest.approx([np.linalg.norm(np.float64(vector))] * 3)
    assert health["duplicates"] == 0
