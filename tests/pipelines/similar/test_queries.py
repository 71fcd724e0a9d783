"""What --to names: a row of the collection, or a photo, which gets the vector that a run would have given it."""

import dataclasses
import json
import pathlib
import shutil

import keras
import numpy as np
import PIL.Image
import pytest

from pipelines.command import main as embed_images
from pipelines.similar.collection import open_collection
from pipelines.similar.matrix import matrix_of
from pipelines.similar.queries import Query, queries_of
from tests.conftest import exhaustive
from tests.pipelines.similar.conftest import Made, settings_of
from transforms.core.errors import RunError, UsageError
from transforms.embed.canary import Canary


def asked(made: Made, *arguments: object) -> list[Query]:
    collection = open_collection(str(made.folder))
    with matrix_of(collection) as matrix:
        return queries_of(settings_of(made, *arguments), collection, matrix)


def refused(made: Made, *arguments: object) -> str:
    with pytest.raises(UsageError) as error:
        asked(made, *arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("engine", ["tensorflow", *exhaustive("openvino")])
def test_a_photo_has_the_vector_that_the_run_gave_it(engine: str, made: Made, tmp_path: pathlib.Path) -> None:
    copies = [str(shutil.copy(made.photos / f"{i}.jpg", tmp_path / f"copy{i}.jpg")) for i in (3, 5)]
    found = asked(made, "--to", copies[0], "--to", copies[1], "--engine", engine)
    assert [(one.uri, one.row) for one in found] == [(copy, None) for copy in copies]
    for one, i in zip(found, (3, 5), strict=True):
        expected = made.vectors[str(made.photos / f"{i}.jpg")].astype(np.float64)
        np.testing.assert_allclose(one.vector, expected / np.linalg.norm(expected), rtol=1e-4, atol=1e-6)


def test_a_row_is_named_by_its_uri_or_by_a_path_that_leads_to_it(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("nothing is embedded")

    monkeypatch.setattr("pipelines.similar.queries.embedder_of", never)
    monkeypatch.chdir(made.photos)
    uri = str(made.photos / "3.jpg")
    names = (uri, "3.jpg", f"../{made.photos.name}/3.jpg", f"file://{uri}")
    for name in names:
        (one,) = asked(made, "--to", name, "--to", name)
        assert one.uri == uri
        np.testing.assert_array_equal(one.vector, asked(made, "--to", uri)[0].vector)


def test_what_is_no_image_is_refused_with_its_reason(made: Made, tmp_path: pathlib.Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    assert refused(made, "--to", tmp_path / "text.jpg").startswith(
        f"--to {tmp_path}/text.jpg cannot be used: not_an_image:"
    )
    assert refused(made, "--to", "gone.jpg") == "--to gone.jpg is neither a file nor a uri of the collection"
    assert "too_many_pixels" in refused(made, "--to", save(tmp_path), "--max_image_pixels", 100)
    assert "too_many_bytes" in refused(made, "--to", save(tmp_path), "--max_image_bytes", 100)
    assert "forbidden_prefix" in refused(made, "--to", save(tmp_path), "--allowed_prefix", tmp_path / "other")


def save(folder: pathlib.Path) -> pathlib.Path:
    path = folder / "new.png"
    PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)).save(path)
    return path


def test_weights_are_refused_where_the_collection_needs_none(made: Made, tmp_path: pathlib.Path) -> None:
    says = "--weights is for own weights, and these embeddings are of random weights; drop it"
    assert refused(made, "--to", save(tmp_path), "--weights", "mine.weights.h5") == says


def test_another_version_s_spec_is_refused(made: Made, tmp_path: pathlib.Path) -> None:
    spec = open_collection(str(made.folder)).spec
    older = dataclasses.replace(spec, pixels_policy="srgb-2")
    made.manifest(embedding_spec=dataclasses.asdict(older), embedding_spec_fingerprint=older.fingerprint)
    says = f"a photo would be embedded by the spec {spec.fingerprint} here, and the collection's is {older.fingerprint}"
    assert says in refused(made, "--to", save(tmp_path))


def test_built_in_weights_that_are_others_here_are_refused(made: Made, tmp_path: pathlib.Path) -> None:
    spec = open_collection(str(made.folder)).spec
    other = dataclasses.replace(spec, weights_sha256="ab" * 32)
    made.manifest(embedding_spec=dataclasses.asdict(other), embedding_spec_fingerprint=other.fingerprint)
    says = "the random weights are not what the collection was made with: the weights_sha256 is "
    assert refused(made, "--to", save(tmp_path)) == f"{says}{spec.weights_sha256}, not {'ab' * 32}"


def test_a_machine_that_computes_otherwise_is_found_out(made: Made, tmp_path: pathlib.Path) -> None:
    entry = json.loads((made.folder / "manifest.json").read_text())["canary"]
    canary = Canary.of(entry)
    made.manifest(canary=Canary(canary.vectors[::-1], canary.decoding).entry())
    with pytest.raises(RunError, match=r"computes other embeddings than the collection's first run did \(cosine"):
        asked(made, "--to", save(tmp_path))


@pytest.mark.exhaustive
def test_own_weights_are_asked_for_taken_from_anywhere_and_known_by_their_values(tmp_path: pathlib.Path) -> None:
    (tmp_path / "photos").mkdir()
    photo = save(tmp_path / "photos")
    for seed, name in enumerate(("mine", "others")):
        keras.utils.set_random_seed(seed)
        model = keras.applications.MobileNet(alpha=0.25, weights=None, include_top=False, input_shape=(32, 32, 3))
        model.save_weights(tmp_path / f"{name}.weights.h5")
    made = Made(tmp_path / "photos", tmp_path / "out")
    flags = ["--backbone", "MobileNet", "--backbone_kwargs", '{"alpha": 0.25}', "--image_size", "32"]
    weights = tmp_path / "mine.weights.h5"
    given = ["--input", photo.parent, "--output", made.folder, *flags, "--weights", weights]
    assert embed_images([*map(str, given)]) == 0
    copy = shutil.copy(photo, tmp_path / "copy.png")
    sha256 = open_collection(str(made.folder)).spec.weights_sha256
    assert refused(made, "--to", copy).endswith(f"; give their path as --weights, their weights_sha256 is {sha256}")
    others = refused(made, "--to", copy, "--weights", tmp_path / "others.weights.h5")
    assert others.startswith(f"--weights {tmp_path}/others.weights.h5 is not what the collection was made with")
    assert "there is no weights file" in refused(made, "--to", copy, "--weights", tmp_path / "gone.weights.h5")
    weights.rename(tmp_path / "moved.weights.h5")
    (one,) = asked(made, "--to", copy, "--weights", tmp_path / "moved.weights.h5")
    (same,) = asked(made, "--to", photo)
    np.testing.assert_allclose(one.vector, same.vector, rtol=1e-4, atol=1e-6)
