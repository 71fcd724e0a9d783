"""Whole models of one's own, end to end: against the framework's forward pass in a for loop, and through the rest."""

import json
import pathlib
from collections.abc import Callable

import keras
import numpy as np
import pytest

from pipelines.command import main
from pipelines.similar.command import main as similar_images
from tests.conftest import exhaustive, sample_image
from tests.end_to_end.test_embed_images import cosine, manifest_of, pixels_of, table_of

SIDE = 96


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> keras.Model:
    """A fine-tuned MobileNetV2 that rescales by itself."""
    keras.utils.set_random_seed(5)
    base = keras.applications.MobileNetV2(weights=None, include_top=False, alpha=0.35, input_shape=(SIDE, SIDE, 3))
    return around(base, SIDE)


def around(base: keras.Model, side: int) -> keras.Model:
    image = keras.Input((side, side, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(image)
    pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(base(x, training=False))
    return keras.Model(image, keras.layers.Dense(7, activation="softmax", name="classes")(pooled))


def until_pooled(model: keras.Model) -> keras.Model:
    return keras.Model(model.inputs, model.get_layer("pooled").output)


def as_keras(model: keras.Model, folder: pathlib.Path) -> list[str]:
    model.save(folder / "mine.keras")
    return ["--model", str(folder / "mine.keras")]


def as_saved_model(model: keras.Model, folder: pathlib.Path) -> list[str]:
    until_pooled(model).export(folder / "mine", verbose=False)
    return ["--model", str(folder / "mine"), "--trust_model", "--preprocess", "raw"]


def as_onnx(model: keras.Model, folder: pathlib.Path) -> list[str]:
    pytest.importorskip("tf2onnx", reason="Keras exports to ONNX by tf2onnx, which is not installed")
    model.predict(np.zeros((1, *model.input_shape[1:]), np.float32), verbose=0)
    model.export(folder / "mine.onnx", format="onnx", verbose=False)
    return ["--model", str(folder / "mine.onnx"), "--preprocess", "raw"]


KINDS = [as_keras, *exhaustive(as_saved_model, as_onnx)]


@pytest.fixture
def photos(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(4):
        sample_image(i, 300 + 40 * i, 260).save(folder / f"{i}.jpg", quality=90)
    return folder


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.mark.parametrize("write", KINDS)
def test_each_embedding_is_what_the_framework_says(
    write: Callable[[keras.Model, pathlib.Path], list[str]],
    model: keras.Model,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--input", photos, "--output", tmp_path / "out", *write(model, tmp_path)) == 0
    table = table_of(tmp_path / "out")
    assert len(table) == 4
    for uri, embedding in zip(table["uri"], table["embedding"], strict=True):
        expected = until_pooled(model).predict(pixels_of(uri, SIDE)[None], verbose=0)[0]
        assert cosine(embedding, expected) > 0.99999
    printed = capsys.readouterr().out
    assert "4 of 4 inputs embedded by mine" in printed
    assert "  model     " in printed


@pytest.mark.exhaustive
@pytest.mark.parametrize("write", [as_keras, as_saved_model, as_onnx])
def test_real_weights_on_real_photos_too(
    write: Callable[[keras.Model, pathlib.Path], list[str]], test_data: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    weights = test_data / "keras_home" / "models" / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    base = keras.applications.MobileNetV2(weights=str(weights), include_top=False, input_shape=(224, 224, 3))
    model = around(base, 224)
    (tmp_path / "photos").mkdir()
    for photo in sorted((test_data / "photos").glob("*.JPEG"))[:12]:
        (tmp_path / "photos" / photo.name).write_bytes(photo.read_bytes())
    assert run("--input", tmp_path / "photos", "--output", tmp_path / "out", *write(model, tmp_path)) == 0
    for uri, embedding in table_of(tmp_path / "out")[["uri", "embedding"]].itertuples(index=False):
        expected = until_pooled(model).predict(pixels_of(uri, 224)[None], verbose=0)[0]
        assert cosine(embedding, expected) > 0.99999, uri


@pytest.mark.exhaustive
def test_a_model_goes_through_a_dry_run_an_update_and_a_search(
    model: keras.Model, photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--input", photos, "--output", tmp_path / "out", "--existing", "update", *as_keras(model, tmp_path)]
    assert run(*flags, "--dry_run") == 0
    assert "the output of pooled, without classes (softmax)" in capsys.readouterr().out
    assert run(*flags) == 0
    sample_image(9).save(photos / "9.jpg")
    # Another path, the same model.
    (tmp_path / "mine.keras").rename(tmp_path / "moved.keras")
    flags[-1] = str(tmp_path / "moved.keras")
    assert run(*flags) == 0
    counts = manifest_of(tmp_path / "out")["counts"]
    assert (counts["embedded"], counts["skipped"]) == (1, 4)
    sample_image(9).save(tmp_path / "asked.jpg")
    capsys.readouterr()
    search = ["--embeddings", str(tmp_path / "out"), "--to", str(tmp_path / "asked.jpg"), "--top", "1"]
    assert similar_images(search) == 2
    assert "of a whole model (keras); give its path as --weights" in capsys.readouterr().err
    assert similar_images([*search, "--weights", flags[-1]]) == 0
    assert "1.0000  " + str(photos / "9.jpg") in capsys.readouterr().out


@pytest.mark.exhaustive
def test_another_model_is_refused_by_an_update(
    model: keras.Model, photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--input", photos, "--output", tmp_path / "out", "--existing", "update"]
    assert run(*flags, *as_keras(model, tmp_path)) == 0
    other = keras.models.clone_model(model)
    other.save(tmp_path / "other.keras")
    assert run(*flags, "--model", tmp_path / "other.keras") == 2
    assert "holds embeddings of another spec: weights_sha256" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--model", "mine.pt"], "export it as ONNX"),
        (["--model", "mine.keras", "--backbone", "VGG16"], "--model is a backbone with its weights; drop --backbone"),
        (["--model", "mine.keras", "--weights", "random"], "drop --weights, or --model"),
        (["--model", "none.keras"], "there is no model"),
        (["--model", "mine.keras", "--include_top"], "--layer chooses a model's output"),
        (["--trust_model"], "--trust_model is for a --model"),
        (["--trust_saved_model"], "--trust_saved_model is no longer a flag; use --trust_model"),
    ],
)
def test_mistakes_are_told_in_one_line(
    flags: list[str],
    says: str,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()]).save("mine.keras")
    (tmp_path / "mine.pt").write_bytes(b"x")
    assert run("--input", photos, "--output", tmp_path / "out", *flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert not (tmp_path / "out").exists()


@pytest.mark.exhaustive
def test_what_stands_names_the_kind_and_the_hash_not_the_path(
    model: keras.Model, photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    assert run("--input", photos, "--output", tmp_path / "out", *as_keras(model, tmp_path)) == 0
    spec = manifest_of(tmp_path / "out")["embedding_spec"]
    assert (spec["backbone"], spec["weights"], spec["output"]) == ("keras", "file", "layer:pooled:avg")
    assert (spec["preprocess"], spec["image_size"]) == ("raw", [SIDE, SIDE])
    assert "mine" not in json.dumps(spec)
