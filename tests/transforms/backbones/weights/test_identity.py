"""Weights are told apart before they are loaded: what differs has another identity, what nothing tells has none."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.servers.gcs import GcsServer
from transforms.backbones.weights.identity import identity_of


def test_random_weights_are_seeded_and_so_one() -> None:
    assert identity_of("random") is not None
    assert identity_of("random") == identity_of("random")


def test_a_file_is_told_by_its_content(tmp_path: pathlib.Path) -> None:
    a, b = tmp_path / "a.h5", tmp_path / "b.h5"
    a.write_bytes(b"one")
    b.write_bytes(b"one")
    assert identity_of(str(a)) == identity_of(str(b))
    b.write_bytes(b"two")
    assert identity_of(str(a)) != identity_of(str(b))


def test_a_folder_is_told_by_the_content_of_all_its_files(tmp_path: pathlib.Path) -> None:
    (tmp_path / "saved" / "variables").mkdir(parents=True)
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "saved" / "variables" / "data").write_bytes(b"one")
    before = identity_of(str(tmp_path / "saved"))
    assert before == identity_of(str(tmp_path / "saved"))
    (tmp_path / "saved" / "variables" / "data").write_bytes(b"two")
    assert identity_of(str(tmp_path / "saved")) != before


def test_imagenet_weights_are_told_by_the_files_that_keras_has(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert identity_of("imagenet") is None
    models = tmp_path / "models"
    models.mkdir()
    (models / "mobilenet.h5").write_bytes(b"one")
    before = identity_of("imagenet")
    assert before is not None
    (models / "imagenet_class_index.json").write_text("{}")
    assert identity_of("imagenet") == before
    os.utime(models / "mobilenet.h5", (1, 1))
    touched = identity_of("imagenet")
    assert touched != before
    (models / "vgg16.h5").write_bytes(b"two")
    assert identity_of("imagenet") not in (before, touched)


def test_an_object_is_told_by_its_generation(strict_gcs: GcsServer) -> None:
    uri = strict_gcs.put("a.weights.h5", b"one")
    before = identity_of(uri)
    assert before == identity_of(uri) is not None
    strict_gcs.put("a.weights.h5", b"one")
    assert identity_of(uri) not in (before, None)
    assert strict_gcs.asked() == 0


@pytest.mark.parametrize("weights", ["{folder}/none.h5", "hdfs://host/a.h5"])
def test_what_nothing_tells_has_no_identity(weights: str, tmp_path: pathlib.Path) -> None:
    assert identity_of(weights.format(folder=tmp_path)) is None


def test_an_identity_goes_through_json(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.h5").write_bytes(b"one")
    for weights in ("random", "imagenet", str(tmp_path / "models" / "a.h5")):
        assert json.dumps(identity_of(weights))


def test_telling_weights_apart_imports_neither_tensorflow_nor_keras(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"one")
    code = "import sys; from transforms.backbones.weights.identity import identity_of; "
    code += f"identity_of('imagenet'), identity_of({str(tmp_path / 'a.h5')!r}); "
    code += "sys.exit(bool({'tensorflow', 'keras', 'h5py'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
