"""The command end to end, on real files, against the same calculation by plain Keras in a for loop."""

import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pandas as pd
import PIL.Image
import pyarrow.parquet as pq
import pytest
from PIL import ImageOps

from pipelines.command import main
from tests.conftest import exhaustive, sample_image


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def manifest_of(output: pathlib.Path) -> dict:
    return json.loads((output / "manifest.json").read_text())


def table_of(output: pathlib.Path) -> pd.DataFrame:
    files = [output / f["name"] for f in manifest_of(output)["files"] if f["name"].endswith(".parquet")]
    return pd.concat([pd.read_parquet(file) for file in files]).sort_values("uri", ignore_index=True)


def files_below(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def pixels_of(path: str, side: int) -> np.ndarray:
    image = PIL.Image.open(path)
    # To no less than twice the size, as `transforms.decode` promises.
    image.draft(None, (2 * side, 2 * side))
    image = ImageOps.exif_transpose(image).convert("RGB")
    return np.asarray(ImageOps.fit(image, (side, side), PIL.Image.Resampling.BILINEAR), np.float32)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def by_hand(name: str, module: object, paths: list[str], side: int) -> list[np.ndarray]:
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(
        weights=None, include_top=False, pooling="avg", input_shape=(side, side, 3)
    )
    return [model.predict(module.preprocess_input(pixels_of(path, side)[None]), verbose=0)[0] for path in paths]


@pytest.mark.parametrize(
    ("name", "module", "engine"),
    [
        ("MobileNetV2", keras.applications.mobilenet_v2, "openvino"),
        *exhaustive(
            ("ResNet50", keras.applications.resnet, "tensorflow"),
            ("DenseNet121", keras.applications.densenet, "openvino"),
            ("EfficientNetB0", keras.applications.efficientnet, "tensorflow"),
        ),
    ],
)
def test_each_embedding_is_what_plain_keras_says(
    name: str, module: object, engine: str, photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    output = tmp_path / "out"
    assert (
        run("--input", photos, "--output", output, "--backbone", name, "--weights", "random", "--engine", engine) == 0
    )
    table = table_of(output)
    assert list(table.uri) == sorted(str(p) for p in photos.rglob("*.jpg"))
    for vector, expected in zip(table.embedding, by_hand(name, module, list(table.uri), 224), strict=True):
        assert cosine(vector, expected) >= 0.99999
    sizes = [PIL.Image.open(uri).size for uri in table.uri]
    assert list(zip(table.width, table.height, strict=True)) == sizes


def test_imagenet_weights_know_the_photos(
    test_data: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Keras reads KERAS_HOME at its import, so the command runs in a process of its own.
    monkeypatch.setenv("KERAS_HOME", str(test_data / "keras_home"))
    for alpha, at_least in ((0.75, 0.85), (0.25, 0.53)):
        output = tmp_path / str(alpha)
        kwargs = json.dumps({"alpha": alpha})
        arguments = ["--input", test_data / "photos", "--output", output, "--backbone", "MobileNet"]
        arguments += ["--backbone_kwargs", kwargs, "--include_top", "--top_k", "5"]
        subprocess.run([sys.executable, "-m", "pipelines.command", *map(str, arguments)], check=True)
        table = table_of(output)
        assert len(table) == 125
        wnids = [pathlib.Path(uri).name.partition("_")[0] for uri in table.uri]
        right = [ids[0] == wnid for ids, wnid in zip(table.top_class_ids, wnids, strict=True)]
        assert np.mean(right) >= at_least
        assert all(len(names) == 5 for names in table.top_class_names)
        best = [scores[0] for scores in table.top_scores]
        np.testing.assert_allclose(best, [vector.max() for vector in table.embedding], rtol=1e-6)


def test_imagenet_embeddings_are_what_plain_keras_says(test_data: pathlib.Path, tmp_path: pathlib.Path) -> None:
    code = f"""
import json, sys, numpy as np, keras
from tests.end_to_end.test_embed_images import cosine, pixels_of, run, table_of
import pathlib
output = pathlib.Path({str(tmp_path / "out")!r})
assert run("--input", {str(test_data / "photos")!r}, "--output", output) == 0
table = table_of(output)
model = keras.applications.MobileNetV2(include_top=False, pooling="avg")
worst = 1.0
for uri, vector in zip(table.uri, table.embedding):
    x = keras.applications.mobilenet_v2.preprocess_input(pixels_of(uri, 224)[None])
    worst = min(worst, cosine(vector, model.predict(x, verbose=0)[0]))
print(len(table), worst)
"""
    environment = {**os.environ, "KERAS_HOME": str(test_data / "keras_home")}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    rows, worst = result.stdout.splitlines()[-1].split()
    assert int(rows) == 125
    assert float(worst) >= 0.99999


@pytest.mark.exhaustive
def test_a_fine_tuned_model_gives_the_vectors_of_its_backbone(
    photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(96, 96, 3))
    inputs = keras.Input((96, 96, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(keras.layers.RandomFlip("horizontal")(inputs))
    features = keras.layers.GlobalAveragePooling2D()(base(x, training=False))
    keras.Model(inputs, keras.layers.Dense(5)(features)).save(tmp_path / "tuned.keras")
    base.save_weights(tmp_path / "alone.weights.h5")
    arguments = ["--input", photos, "--image_size", 96, "--weights"]
    assert run(*arguments, tmp_path / "tuned.keras", "--output", tmp_path / "tuned") == 0
    assert "  model     the weights of mobilenetv2_1.00_96 in it\n" in capsys.readouterr().out
    table = table_of(tmp_path / "tuned")
    forward = keras.Model(inputs, features)
    for uri, vector in zip(table.uri, table.embedding, strict=True):
        assert cosine(vector, forward.predict(pixels_of(uri, 96)[None], verbose=0)[0]) >= 0.99999
    # A collection is brought in step with the backbone in either file.
    assert run(*arguments, tmp_path / "alone.weights.h5", "--output", tmp_path / "tuned", "--existing", "update") == 0
    assert ", file weights, output avg, " in capsys.readouterr().out
    assert run(*arguments, tmp_path / "tuned.keras", "--output", tmp_path / "none", "--dry_run") == 0
    assert "  model   the weights of mobilenetv2_1.00_96 in it\n" in capsys.readouterr().out


@pytest.mark.exhaustive
@pytest.mark.parametrize(("name", "engine"), [("MobileNetV2", "tensorflow")])
def test_without_rewrites_the_vectors_are_the_same_under_the_same_fingerprint(
    name: str, engine: str, photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "normalizing.weights.h5"
    save_weights_that_normalize(name, weights)
    arguments = ["--input", photos, "--backbone", name, "--weights", weights, "--engine", engine, "--image_size", 128]
    monkeypatch.delenv("EMBED_IMAGES_REWRITES", raising=False)
    assert run(*arguments, "--output", tmp_path / "rewritten") == 0
    monkeypatch.setenv("EMBED_IMAGES_REWRITES", "0")
    assert run(*arguments, "--output", tmp_path / "as_built") == 0
    rewritten, as_built = table_of(tmp_path / "rewritten"), table_of(tmp_path / "as_built")
    assert list(rewritten.uri) == list(as_built.uri) == sorted(str(path) for path in photos.rglob("*.jpg"))
    for one, other in zip(rewritten.embedding, as_built.embedding, strict=True):
        assert cosine(one, other) >= 0.99999
    # Else nothing was switched off.
    assert not np.array_equal(np.stack(rewritten.embedding), np.stack(as_built.embedding))
    one, other = manifest_of(tmp_path / "rewritten"), manifest_of(tmp_path / "as_built")
    assert one["embedding_spec"] == other["embedding_spec"]
    assert [m["workers"][0]["rewrites"] for m in (one, other)] == [True, False]


def save_weights_that_normalize(name: str, path: pathlib.Path) -> None:
    """Save random weights whose batch normalizations do something, unlike those that Keras begins with."""
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None, include_top=False)
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable in (layer.gamma, layer.moving_variance):
                variable.assign(random.uniform(0.5, 1.5, variable.shape))
            for variable in (layer.beta, layer.moving_mean):
                variable.assign(random.normal(0, 0.1, variable.shape))
    model.save_weights(path)


def test_a_uri_list_with_everything_is_accounted_for(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    odd = photos / "50% of #1 ä ü.jpg"
    sample_image(42).save(odd)
    (photos / "broken.jpg").write_bytes((photos / "a" / "1.jpg").read_bytes()[:500])
    uri_list = photos / "list.csv"
    uri_list.write_text(
        "path,label,price\na/1.jpg,x,1\na/1.jpg,x,1\na/3.jpg,007,\n50% of #1 ä ü.jpg,,2\nbroken.jpg,b,3\n"
        "missing.jpg,m,4\n,empty,5\nshort row\n",
        encoding="utf-8",
    )
    output = tmp_path / "out"
    flags = ["--uri_column", "path", "--weights", "random", "--output_format", "parquet,tfrecord"]
    assert run("--input", uri_list, "--output", output, *flags) == 0
    manifest = manifest_of(output)
    assert manifest["counts"] == {"inputs": 8, "embedded": 3, "failed": 4, "skipped": 0, "duplicates": 1}
    table = table_of(output)
    assert list(table.uri) == sorted(str(p) for p in (photos / "a/1.jpg", photos / "a/3.jpg", odd))
    assert dict(zip(table.uri, table.label, strict=True))[str(photos / "a/3.jpg")] == "007"
    (parquet,) = output.glob("parquet/*")
    schema = pq.read_schema(parquet)
    assert str(schema.field("price").type) == "int64"
    assert json.loads(schema.metadata[b"embedding_spec"])["backbone"] == "MobileNetV2"
    assert schema.metadata[b"embedding_spec_fingerprint"].decode() == manifest["embedding_spec_fingerprint"]
    (failures,) = output.glob("failures/*")
    lost = [json.loads(line) for line in failures.read_text(encoding="utf-8").splitlines()]
    assert sorted((f["stage"], f["reason"]) for f in lost) == [
        ("decode", "truncated"),
        ("fetch", "not_found"),
        ("read", "bad_row"),
        ("read", "no_uri"),
    ]
    looked_at = {path.name: path.stat() for path in (odd, photos / "broken.jpg")}
    versions = {name: f"mtime:{found.st_mtime_ns},size:{found.st_size}" for name, found in looked_at.items()}
    assert {f["version"] for f in lost} == {versions["broken.jpg"], ""}
    assert dict(zip(table.uri, table.version, strict=True))[str(odd)] == versions[odd.name]
    named = {"manifest.json", "tfrecord/features.json", *(f["name"] for f in manifest["files"])}
    assert {str(path.relative_to(output)) for path in files_below(output)} == named
    assert sorted(path.name for path in output.iterdir()) == ["failures", "manifest.json", "parquet", "tfrecord"]

    retried = tmp_path / "retried"
    sample_image(43).save(photos / "missing.jpg")
    assert run("--input", failures, "--output", retried, "--weights", "random") == 0
    assert list(table_of(retried).label) == ["m"]


def test_several_backbones_fetch_and_decode_once(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    output = tmp_path / "out"
    names = "MobileNet,MobileNetV2"
    (photos / "bad.jpg").write_bytes(b"bad")
    assert run("--input", photos, "--output", output, "--backbone", names, "--weights", "random") == 0
    from transforms.core.counters import tally

    counters = tally()
    assert (counters["images-fetched"], counters["images-decoded"], counters["images-embedded"]) == (11, 10, 20)
    for name in names.split(","):
        assert manifest_of(output / name)["counts"]["embedded"] == 10
        assert manifest_of(output / name)["counts"]["failed"] == 1
        assert manifest_of(output / name)["embedding_spec"]["backbone"] == name


def test_overwrite_replaces_a_finished_run(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    output = tmp_path / "out"
    arguments = ["--input", photos, "--output", output, "--weights", "random"]
    assert run(*arguments) == 0
    before = {path: path.read_bytes() for path in files_below(output)}
    assert run(*arguments) == 2
    assert {path: path.read_bytes() for path in files_below(output)} == before
    assert run(*arguments, "--existing=replace", "--num_shards", "2") == 0
    after = files_below(output)
    assert set(before) & set(after) == {output / "manifest.json"}
    assert after == sorted([output / "manifest.json", *(output / f["name"] for f in manifest_of(output)["files"])])
    assert len(list(output.glob("parquet/*"))) == 2


def test_a_failure_budget_and_a_total_loss_exit_3(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (photos / "bad.jpg").write_bytes(b"bad")
    arguments = ["--weights", "random", "--input"]
    assert run(*arguments, photos, "--output", tmp_path / "1", "--max_failure_ratio", "0.05") == 3
    assert manifest_of(tmp_path / "1")["counts"]["embedded"] == 10
    assert run(*arguments, photos, "--output", tmp_path / "2", "--max_failure_ratio", "0.1") == 0
    assert run(*arguments, photos / "bad.jpg", "--output", tmp_path / "3") == 3
    assert manifest_of(tmp_path / "3")["counts"]["failed"] == 1


def test_ten_thousand_uris_of_which_half_are_missing(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    data = (photos / "a" / "1.jpg").read_bytes()
    for i in range(50):
        (photos / f"{i}.jpg").write_bytes(data)
    (photos / "uris.txt").write_text(
        "".join(f"{i}.jpg\n" for i in range(50)) * 100 + "".join(f"x{i}\n" for i in range(5000))
    )
    output = tmp_path / "out"
    assert run("--input", photos / "uris.txt", "--output", output, "--weights", "random", "--image_size", "32") == 0
    counts = manifest_of(output)["counts"]
    assert counts == {"inputs": 10_000, "embedded": 50, "failed": 5000, "skipped": 0, "duplicates": 4950}


def test_a_dry_run_reports_and_writes_nothing(
    photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert run("--input", photos, "--output", output, "--weights", "random", "--dry_run") == 0
    printed = capsys.readouterr().out
    assert "inputs    10" in printed
    assert "MobileNetV2: 5 of 5 embedded, 1280 x float32" in printed
    assert "embedding list<element: float not null>" in printed
    assert not output.exists()


def test_the_summary_is_all_there_is_and_its_commands_work(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (photos / "bad.jpg").write_bytes(b"bad")
    command = [sys.executable, "-m", "pipelines.command"]
    arguments = ["--input", str(photos), "--output", str(tmp_path / "o ut"), "--weights=random", "--image_size=64"]
    result = subprocess.run([*command, *arguments, "--runner=DirectRunner"], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert 8 <= len(lines) <= 12
    assert "inputs 11 = embedded 10 + failed 1 + skipped 0 + duplicates 0" in result.stdout
    retry, read = (shlex.split(line.partition(":")[2]) for line in lines[-2:])
    assert "uri" in subprocess.run([sys.executable, *read[1:]], capture_output=True, text=True, check=True).stdout
    (photos / "bad.jpg").write_bytes((photos / "a" / "1.jpg").read_bytes())
    assert retry[0] == "embed-images"
    result = subprocess.run([*command, *retry[1:]], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert "inputs 11 = embedded 1 + failed 0 + skipped 10 " in result.stdout
    read = shlex.split(result.stdout.splitlines()[-1].partition(":")[2])
    told = subprocess.run([sys.executable, *read[1:]], capture_output=True, text=True, check=True).stdout
    assert "bad.jpg" in told


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_half_written(number: int, photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    output = tmp_path / "out"
    data = (photos / "a" / "1.jpg").read_bytes()
    for i in range(3000):
        (photos / f"{i:04d}.jpg").write_bytes(data)
    command = [sys.executable, "-m", "pipelines.command", "--input", str(photos), "--output", str(output)]
    with subprocess.Popen([*command, "--weights", "random"], stderr=subprocess.PIPE, text=True) as process:
        while not list(output.glob(".run-*")):
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(3)
        process.send_signal(number)
        assert process.wait(timeout=20) == 130
        assert f"--input {photos} --output {output} --weights random" in process.stderr.read()
    assert list(output.iterdir()) == []


def test_the_table_of_backbones_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list_backbones") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 41
    assert any(line.split()[:4] == ["ResNet50", "224", "2048", "23,587,712"] for line in lines)
