"""Whole `.keras` models give the vectors that Keras gives, of the layer that they say."""

import json
import pathlib
import zipfile

import keras
import numpy as np
import pytest

from tests.conftest import exhaustive
from tests.transforms.backbones.own.conftest import PIXELS, SIDE, cosine, fine_tuned, refused, rewritten, up_to
from transforms import embedding_spec
from transforms.backbones import load_backbone, note_of, own_backbone

layers = keras.layers


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return fine_tuned()


@pytest.fixture(scope="module")
def path(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("model") / "mine.keras"
    model.save(path)
    return path


@pytest.mark.parametrize("engine", ["tensorflow", *exhaustive("openvino")])
def test_a_fine_tuned_model_gives_the_vectors_before_its_classifier(
    engine: str, model: keras.Model, path: pathlib.Path
) -> None:
    backbone = own_backbone(str(path), engine=engine)
    assert (backbone.name, backbone.size, backbone.preprocess) == ("mine.keras", (SIDE, SIDE), "raw")
    assert cosine(load_backbone(backbone)(PIXELS), up_to(model, "pooled")) > 0.99999
    spec = embedding_spec(backbone)
    assert (spec.backbone, spec.weights, spec.dim, spec.preprocess) == ("keras", "file", 256, "raw")
    # Its name in the file, since Keras gives it on one level.
    assert spec.output == "layer:pooled:avg"
    says = "the output of pooled, without classes (softmax); its input is made by Rescaling in it"
    assert note_of(backbone) == says


@pytest.mark.exhaustive
def test_any_layer_can_be_asked_for_also_one_in_a_model_in_the_model(model: keras.Model, path: pathlib.Path) -> None:
    classes = own_backbone(str(path), layer="classes")
    np.testing.assert_allclose(load_backbone(classes)(PIXELS), up_to(model, "classes"), rtol=1e-3)
    (base,) = (layer for layer in model.layers if layer.name.startswith("mobilenet"))
    inner = keras.Model(base.inputs, base.get_layer("conv_pw_3_relu").output)
    expected = inner.predict(PIXELS / np.float32(127.5) - 1, verbose=0).max((1, 2))
    found = load_backbone(own_backbone(str(path), layer="conv_pw_3_relu", pooling="max"))(PIXELS)
    assert cosine(found, expected) > 0.99999
    assert refused(path, layer="pooler").endswith("has no layer 'pooler' (did you mean 'pooled'?)")


def test_a_model_without_a_classifier_is_taken_whole(tmp_path: pathlib.Path) -> None:
    image = keras.Input((SIDE, SIDE, 3))
    maps = layers.Conv2D(6, 3)(layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, maps)
    model.save(tmp_path / "maps.keras")
    expected = model.predict(PIXELS.astype(np.float32), verbose=0)
    backbone = own_backbone(str(tmp_path / "maps.keras"))
    assert cosine(load_backbone(backbone)(PIXELS), expected.mean((1, 2))) > 0.99999
    assert embedding_spec(backbone).output == "avg"
    assert note_of(backbone).startswith("its own output; ")
    assert "--pooling cls takes the first token" in refused(tmp_path / "maps.keras", pooling="cls")
    flat = load_backbone(own_backbone(str(tmp_path / "maps.keras"), pooling="flatten"))(PIXELS)
    assert cosine(flat, expected.reshape(len(expected), -1)) > 0.99999


@pytest.mark.parametrize(
    ("end", "left_off"),
    [
        ([layers.Dense(4, activation="sigmoid", name="a")], "a (sigmoid)"),
        ([layers.Dense(4, name="predictions")], "predictions (Dense)"),
        ([layers.Dense(4, name="b"), layers.Activation("softmax", name="c")], "b (Dense) and c (softmax)"),
        ([layers.Dense(4, name="d"), layers.Softmax(name="e")], "d (Dense) and e (Softmax)"),
        ([layers.Dense(4, activation="tanh", name="f")], ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_classifies_is_left_off_and_nothing_else(
    end: list[keras.Layer], left_off: str, tmp_path: pathlib.Path
) -> None:
    model = keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), layers.Rescaling(0.01), layers.Conv2D(4, 5), layers.Flatten()]
    )
    for layer in end:
        model.add(layer)
    model.save(tmp_path / "m.keras")
    without = keras.Sequential(model.layers[: -len(end)] if left_off else model.layers)
    backbone = own_backbone(str(tmp_path / "m.keras"))
    assert cosine(load_backbone(backbone)(PIXELS), without.predict(PIXELS.astype(np.float32), verbose=0)) > 0.99999
    assert (f"without {left_off};" in note_of(backbone)) == bool(left_off)


def test_the_fingerprint_is_the_model_s_not_the_file_s(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    spec = embedding_spec(own_backbone(str(path)))
    copy = tmp_path / "renamed.keras"
    copy.write_bytes(path.read_bytes())
    assert embedding_spec(own_backbone(str(copy))) == spec

    def widen(config: dict) -> None:
        (rescaling,) = [x for x in config["config"]["layers"] if x["class_name"] == "Rescaling"]
        rescaling["config"]["scale"] = 0.5

    # Under another name, since a loaded backbone stays loaded.
    changed = rewritten(copy, widen).rename(tmp_path / "changed.keras")
    assert embedding_spec(own_backbone(str(changed))).fingerprint != spec.fingerprint


@pytest.mark.exhaustive
def test_a_model_trained_in_mixed_precision_is_computed_in_what_is_asked_for(tmp_path: pathlib.Path) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Rescaling(0.01), layers.Conv2D(4, 5)])
    finally:
        keras.config.set_dtype_policy("float32")
    model.save(tmp_path / "mixed.keras")
    again = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Rescaling(0.01), layers.Conv2D(4, 5)])
    again.set_weights(model.get_weights())
    expected = again.predict(PIXELS.astype(np.float32), verbose=0).mean((1, 2))
    np.testing.assert_allclose(load_backbone(own_backbone(str(tmp_path / "mixed.keras")))(PIXELS), expected, rtol=1e-4)


def test_a_precision_that_is_only_a_name_is_not_the_one_that_counts(tmp_path: pathlib.Path) -> None:
    """As older files say it."""
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Rescaling(0.01), layers.Conv2D(4, 5)])
    model.save(tmp_path / "old.keras")

    def name_it(config: dict) -> None:
        for layer in config["config"]["layers"][1:]:
            layer["config"]["dtype"] = "mixed_float16"

    expected = model.predict(PIXELS.astype(np.float32), verbose=0).mean((1, 2))
    path = rewritten(tmp_path / "old.keras", name_it)
    np.testing.assert_allclose(load_backbone(own_backbone(str(path)))(PIXELS), expected, rtol=1e-4)


def test_a_model_of_tokens_is_pooled_or_gives_its_first(tmp_path: pathlib.Path) -> None:
    image = keras.Input((SIDE, SIDE, 3))
    tokens = layers.Reshape((-1, 6))(layers.Conv2D(6, 8, strides=8)(layers.Rescaling(1 / 255)(image)))
    tokens = layers.LayerNormalization()(tokens + layers.MultiHeadAttention(2, 3)(tokens, tokens))
    model = keras.Model(image, tokens)
    model.save(tmp_path / "vit.keras")
    expected = model.predict(PIXELS.astype(np.float32), verbose=0)
    for pooling, pooled in (("avg", expected.mean(1)), ("cls", expected[:, 0]), ("max", expected.max(1))):
        found = load_backbone(own_backbone(str(tmp_path / "vit.keras"), pooling=pooling))(PIXELS)
        np.testing.assert_allclose(found, pooled, rtol=1e-3, atol=1e-4)


def test_names_that_keras_gives_by_itself_are_no_obstacle(tmp_path: pathlib.Path) -> None:
    first = [keras.Input((SIDE, SIDE, 3)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3)]
    model = keras.Sequential([*first, layers.Flatten(name="flatten"), layers.Dense(8, name="vector")])
    model.save(tmp_path / "a.keras")
    expected = up_to(model, "vector")
    # As in a new process, in which Keras begins to count.
    keras.utils.clear_session()
    found = load_backbone(own_backbone(str(tmp_path / "a.keras")))(PIXELS)
    assert cosine(found, expected) > 0.99999


def test_what_is_sliced_in_a_model_is_taken(tmp_path: pathlib.Path) -> None:
    image = keras.Input((SIDE, SIDE, 3))
    maps = layers.Conv2D(8, 3, name="maps")(layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, maps[:, 3, ..., 2:])
    model.save(tmp_path / "a.keras")
    found = load_backbone(own_backbone(str(tmp_path / "a.keras"), pooling="flatten"))(PIXELS)
    assert cosine(found, up_to(model, "maps")[:, 3, :, 2:].reshape(len(PIXELS), -1)) > 0.99999


@pytest.mark.parametrize("build", exhaustive("EfficientNetB0", "ConvNeXtTiny", "MobileNetV2"))
def test_applications_are_found_in_models_of_any_size(build: str, tmp_path: pathlib.Path) -> None:
    base = getattr(keras.applications, build)(include_top=False, weights=None)
    image = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 127.5, -1)(image) if build == "MobileNetV2" else image
    model = keras.Model(image, layers.Dense(3, activation="softmax")(layers.GlobalMaxPooling2D(name="pooled")(base(x))))
    model.save(tmp_path / "any.keras")
    assert "takes images of any size; say which with --image_size" in refused(tmp_path / "any.keras")
    backbone = own_backbone(str(tmp_path / "any.keras"), image_size=(SIDE, SIDE))
    assert cosine(load_backbone(backbone)(PIXELS), up_to(model, "pooled")) > 0.99999


def test_a_model_that_cannot_be_a_backbone_is_told_before_any_image(tmp_path: pathlib.Path) -> None:
    image = keras.Input((SIDE, SIDE, 3))
    maps = layers.Conv2D(3, 3)(image)
    models = {
        "two": keras.Model([image, other := keras.Input((SIDE, SIDE, 3))], maps + layers.Conv2D(3, 3)(other)),
        "outputs": keras.Model(image, [maps, layers.Flatten()(maps)]),
        "grey": keras.Sequential([keras.Input((SIDE, SIDE, 1)), layers.Flatten()]),
        "numbers": keras.Sequential([keras.Input((7,)), layers.Dense(3)]),
        "unscaled": keras.Model(image, maps),
    }
    for name, model in models.items():
        model.save(tmp_path / f"{name}.keras")
    assert "takes 2 inputs; a backbone takes one, an image" in refused(tmp_path / "two.keras", preprocess="raw")
    assert "has 2 outputs; choose one with --layer" in refused(tmp_path / "outputs.keras", preprocess="raw")
    assert "takes (None, 32, 32, 1), not RGB images" in refused(tmp_path / "grey.keras", preprocess="raw")
    assert "takes (None, 7), not RGB images" in refused(tmp_path / "numbers.keras", preprocess="raw")
    assert "does not say what it takes; add --preprocess: raw, unit, tf," in refused(tmp_path / "unscaled.keras")
    assert "takes images of 32 x 32 px; drop --image_size" in refused(
        tmp_path / "unscaled.keras", preprocess="raw", image_size=(64, 64)
    )
    assert "say what the --model takes" in refused(tmp_path / "unscaled.keras", preprocess="backbone")


def test_weights_that_do_not_fit_or_are_broken_are_told(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    cut = tmp_path / "cut.keras"
    cut.write_bytes(path.read_bytes()[:-1000])
    assert "is not a .keras file" in refused(cut)
    assert f"there is no model {tmp_path / 'none.keras'}" in refused(tmp_path / "none.keras")
    wider = tmp_path / "wider.keras"
    wider.write_bytes(path.read_bytes())

    def widen(config: dict) -> None:
        (dense,) = [x for x in config["config"]["layers"] if x["class_name"] == "Dense"]
        dense["config"]["units"] = 6

    assert "does not fit wider.keras" in refused(rewritten(wider, widen))
    assert "not the --weights_sha256 00" in refused(path, weights_sha256="00")


def test_an_architecture_larger_than_its_file_is_refused_before_it_is_made(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    large = tmp_path / "large.keras"
    large.write_bytes(path.read_bytes())

    def widen(config: dict) -> None:
        (dense,) = [x for x in config["config"]["layers"] if x["class_name"] == "Dense"]
        dense["config"]["units"] = 10**9

    assert "has layers of 102" in refused(rewritten(large, widen))


def test_values_that_are_not_finite_are_refused(tmp_path: pathlib.Path) -> None:
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Rescaling(1), layers.Conv2D(2, 3, name="conv")])
    kernel, bias = model.get_layer("conv").get_weights()
    kernel[0, 0, 0, 0] = np.nan
    model.get_layer("conv").set_weights([kernel, bias])
    model.save(tmp_path / "nan.keras")
    assert "cannot be used: kernel of layer conv has values that are NaN" in refused(tmp_path / "nan.keras")


@pytest.mark.exhaustive
def test_what_is_for_training_is_no_obstacle(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    copy = tmp_path / "compiled.keras"
    copy.write_bytes(path.read_bytes())

    def compile_by_own_loss(config: dict) -> None:
        config["compile_config"] = {"loss": {"module": "mine", "class_name": "MyLoss", "config": {}}}

    assert load_backbone(own_backbone(str(rewritten(copy, compile_by_own_loss))))(PIXELS).shape == (5, 256)
    with zipfile.ZipFile(copy) as archive:
        assert "MyLoss" in json.dumps(json.loads(archive.read("config.json")))
