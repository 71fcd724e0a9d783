"""A backbone inside the file of a larger model: found wherever it is, with the vectors that Keras itself gives."""

import pathlib
import tempfile
from collections.abc import Callable, Iterator

import h5py
import keras
import numpy as np
import pytest

from tests.conftest import exhaustive
from tests.transforms.backbones.conftest import PIXELS, SMALL, SUFFIXES, assert_same, plain, save, usage_error
from transforms import Backbone
from transforms.backbones import embedding_spec, load_backbone, loaded
from transforms.backbones.graph.model import build_model
from transforms.backbones.weights.values import sha256_of_values
from transforms.core.errors import UsageError

NAME = "mobilenet_0.25_64"
"""What Keras calls the backbone in another model."""


@pytest.fixture(autouse=True, scope="module")
def _forget_models() -> Iterator[None]:
    yield
    keras.backend.clear_session()


def vary(model: keras.Model, seed: int = 0) -> keras.Model:
    """Give each weight values of its own, so that no two layers can be taken for each other."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(weight.numpy() + random.uniform(0.01, 0.1, weight.shape))
    return model


def mobilenet(alpha: float = 0.25, seed: int = 0, **arguments: object) -> keras.Model:
    settings = {"weights": None, "include_top": False, "input_shape": (64, 64, 3), **arguments}
    return vary(keras.applications.MobileNet(alpha=alpha, **settings), seed)


def classifier(base: keras.Model, classes: int = 5) -> keras.Model:
    """Put a backbone into a classifier, as Keras' guide to transfer learning does."""
    inputs = keras.Input(base.input_shape[1:])
    x = keras.Sequential([keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.1)])(inputs)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = base(x, training=False)
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(classes)(keras.layers.Dropout(0.2)(x))
    return keras.Model(inputs, outputs)


def freeze(base: keras.Model, layers: int) -> None:
    """Train only the upper layers of a backbone."""
    for layer in base.layers[:layers]:
        layer.trainable = False


def vectors(base: keras.Model) -> np.ndarray:
    """Return what Keras alone makes of pixels."""
    return plain(keras.Model(base.input, keras.layers.GlobalAveragePooling2D()(base.output)))


@pytest.mark.parametrize("frozen", [30, *exhaustive(0, 1000)])
@pytest.mark.parametrize("suffix", [SUFFIXES[1], *exhaustive(SUFFIXES[0], SUFFIXES[2])])
def test_a_fine_tuned_backbone_is_found_in_its_classifier(suffix: str, frozen: int, tmp_path: pathlib.Path) -> None:
    base = mobilenet()
    freeze(base, frozen)
    own = Backbone(weights=str(tmp_path / f"own{suffix}"), **SMALL)
    save(classifier(base), tmp_path / f"own{suffix}")
    assert loaded.facts_of(own).found_in == NAME
    assert_same(load_backbone(own)(PIXELS), vectors(base))
    # The values are known for the same ones in whatever they are.
    assert embedding_spec(own).weights_sha256 == sha256_of_values(base)


@pytest.mark.exhaustive
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_layer_of_a_nested_backbone_is_taken(suffix: str, tmp_path: pathlib.Path) -> None:
    base = mobilenet()
    save(classifier(base), tmp_path / f"own{suffix}")
    loaded = load_backbone(Backbone(weights=str(tmp_path / f"own{suffix}"), layer="conv_pw_3_relu", **SMALL))
    assert_same(loaded(PIXELS), vectors(keras.Model(base.input, base.get_layer("conv_pw_3_relu").output)))


def sha256_in(path: pathlib.Path, **arguments: object) -> str:
    """Return the hash of the values that are loaded from a file."""
    model, _ = build_model(Backbone(weights=str(path), **{**SMALL, **arguments}))
    return sha256_of_values(model)


@pytest.mark.exhaustive
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_backbone_is_found_in_a_model_of_a_model(suffix: str, tmp_path: pathlib.Path) -> None:
    base = mobilenet()
    encoder = keras.Sequential([keras.Input((64, 64, 3)), base, keras.layers.Conv2D(7, 1)], name="encoder")
    own = Backbone(weights=str(tmp_path / f"own{suffix}"), **SMALL)
    save(classifier(encoder), tmp_path / f"own{suffix}")
    # The older layout tells of no model below the outermost one.
    assert loaded.facts_of(own).found_in == ("encoder" if suffix == ".h5" else f"encoder/{NAME}")
    assert sha256_in(tmp_path / f"own{suffix}") == sha256_of_values(base)


@pytest.mark.exhaustive
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_head_on_the_backbone_s_own_layers_is_no_obstacle(suffix: str, tmp_path: pathlib.Path) -> None:
    base = mobilenet()
    x = keras.layers.Conv2D(9, 1)(base.output)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(x))
    save(keras.Model(base.input, keras.layers.Dense(5)(x)), tmp_path / f"own{suffix}")
    assert loaded.facts_of(Backbone(weights=str(tmp_path / f"own{suffix}"), **SMALL)).found_in == ""
    assert sha256_in(tmp_path / f"own{suffix}") == sha256_of_values(base)


@pytest.mark.exhaustive
@pytest.mark.parametrize("include_top", [True, False])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_nested_top_is_found_if_it_is_asked_for(suffix: str, include_top: bool, tmp_path: pathlib.Path) -> None:
    base = mobilenet(include_top=True, classes=11, name="expert")
    save(classifier(base), tmp_path / f"own{suffix}")
    kwargs = {"alpha": 0.25, "classes": 11} if include_top else {"alpha": 0.25}
    below = base if include_top else keras.Model(base.input, base.get_layer("conv_pw_13_relu").output)
    found = sha256_in(tmp_path / f"own{suffix}", backbone_kwargs=kwargs, include_top=include_top)
    assert found == sha256_of_values(below)


@pytest.mark.exhaustive
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_of_two_backbones_the_one_of_the_right_width_is_taken(suffix: str, tmp_path: pathlib.Path) -> None:
    narrow, wide = mobilenet(0.25, name="narrow"), mobilenet(0.5, name="wide")
    inputs = keras.Input((64, 64, 3))
    joined = keras.layers.Concatenate()([wide(inputs), narrow(inputs)])
    save(keras.Model(inputs, keras.layers.Dense(3)(joined)), tmp_path / f"own{suffix}")
    assert loaded.facts_of(Backbone(weights=str(tmp_path / f"own{suffix}"), **SMALL)).found_in == "narrow"
    assert sha256_in(tmp_path / f"own{suffix}") == sha256_of_values(narrow)
    assert sha256_in(tmp_path / f"own{suffix}", backbone_kwargs={"alpha": 0.5}) == sha256_of_values(wide)


@pytest.mark.exhaustive
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_two_copies_of_a_backbone_are_told_by_name(suffix: str, tmp_path: pathlib.Path) -> None:
    left, right = mobilenet(seed=1, name="left"), mobilenet(seed=2, name="right")
    inputs = keras.Input((64, 64, 3))
    save(keras.Model(inputs, keras.layers.Add()([left(inputs), right(inputs)])), tmp_path / f"own{suffix}")
    error = usage_error(weights=str(tmp_path / f"own{suffix}"), **SMALL)
    holds = "holds more than one MobileNet, or layers like its own: left, right; save the one that you mean by itself"
    assert error == f"--weights {tmp_path}/own{suffix} {holds}"


@pytest.mark.parametrize("suffix", [SUFFIXES[2], *exhaustive(*SUFFIXES[:2])])
def test_a_model_without_the_backbone_is_told_by_what_it_has(suffix: str, tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / f"own{suffix}")
    save(classifier(mobilenet(0.5)), tmp_path / f"own{suffix}")
    error = usage_error(weights=path, **SMALL)
    differs = "mobilenet_0.50_64 in it has conv1 of (3, 3, 3, 16), and the backbone conv1 of (3, 3, 3, 8)"
    assert error == f"--weights {path} does not fit MobileNet: {differs}"
    inputs = keras.Input((8,))
    save(keras.Model(inputs, keras.layers.Dense(2, name="head")(inputs)), tmp_path / f"own{suffix}")
    lacks = "it has none of the 54 layers with weights, and no conv1; it has head"
    assert usage_error(weights=path, **SMALL) == f"--weights {path} does not fit MobileNet: {lacks}"


@pytest.mark.exhaustive
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_top_that_the_file_does_not_have_is_told(suffix: str, tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / f"own{suffix}")
    save(classifier(mobilenet()), tmp_path / f"own{suffix}")
    error = usage_error(weights=path, include_top=True, **SMALL)
    lacks = f"{NAME} in it has 54 of the 55 layers with weights, and no conv_preds"
    assert error == f"--weights {path} does not fit MobileNet: {lacks}; without --include_top, no top is needed"


def as_keras_2(model: keras.Model, f: h5py.Group) -> None:
    """Write weights as Keras 2 wrote them: a group for each layer, nested models flat, what is trained first."""
    f.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
    f.attrs["keras_version"], f.attrs["backend"] = b"2.11.0", b"tensorflow"
    for layer in model.layers:
        group = f.create_group(layer.name)
        weights = layer.trainable_weights + layer.non_trainable_weights
        deep = {
            id(w): "depthwise_"
            for inner in inner_layers(layer)
            if "Depthwise" in type(inner).__name__
            for w in inner.weights
        }
        names = ["{}/{}{}:0".format(*w.path.split("/")[-2:-1], deep.get(id(w), ""), w.name) for w in weights]
        group.attrs["weight_names"] = [name.encode() for name in names]
        for name, weight in zip(names, weights, strict=True):
            group[name] = weight.numpy()


def inner_layers(layer: keras.Layer) -> list[keras.Layer]:
    return layer.layers if isinstance(layer, keras.Model) else [layer]


@pytest.mark.parametrize("frozen", [30, *exhaustive(0)])
@pytest.mark.parametrize(
    ("name", "is_whole"), [("own.h5", True), *exhaustive(("own.h5", False), ("own.weights.h5", False))]
)
def test_a_file_of_keras_2_is_read(name: str, is_whole: bool, frozen: int, tmp_path: pathlib.Path) -> None:
    """Keras 2 had this layout for weights alone, too, whatever their file was called."""
    base = mobilenet()
    freeze(base, frozen)
    with h5py.File(tmp_path / name, "w") as f:
        as_keras_2(classifier(base), f.create_group("model_weights") if is_whole else f)
    own = Backbone(weights=str(tmp_path / name), **SMALL)
    assert loaded.facts_of(own).found_in == NAME
    assert embedding_spec(own).weights_sha256 == sha256_of_values(base)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["MobileNetV2", *exhaustive("EfficientNetB0", "NASNetMobile")])
def test_what_keras_2_itself_writes_is_read(name: str, suffix: str, tmp_path: pathlib.Path) -> None:
    keras_2 = pytest.importorskip("tf_keras", reason="Keras 2 is not installed")
    arguments = {"weights": None, "include_top": False, "input_shape": (64, 64, 3)}
    base = getattr(keras_2.applications, name)(**arguments)
    random = np.random.default_rng(0)
    base.set_weights([value + random.uniform(0.01, 0.1, value.shape) for value in base.get_weights()])
    for layer in base.layers[:20]:
        layer.trainable = False
    model = keras_2.Sequential([keras_2.layers.Rescaling(1 / 255), base, keras_2.layers.Dense(3)])
    model.build((None, 64, 64, 3))
    save(model, tmp_path / f"own{suffix}")
    settings = {"name": name, "backbone_kwargs": {}}
    expected = getattr(keras.applications, name)(**arguments)
    expected.set_weights(base.get_weights())
    assert sha256_in(tmp_path / f"own{suffix}", **settings) == sha256_of_values(expected)


FAMILIES = [
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "InceptionResNetV2",
    "InceptionV3",
    "MobileNetV3Small",
]
FAMILIES += ["NASNetMobile", "ResNet50", "ResNet50V2", "VGG16", "Xception"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_is_found_by_names_that_a_session_has_numbered(name: str, tmp_path: pathlib.Path) -> None:
    """Layers without names of their own get numbers that go on from those of all models before."""
    build = getattr(keras.applications, name)
    arguments = {"weights": None, "include_top": False, "input_shape": (96, 96, 3)}
    build(**arguments)
    base = vary(build(**arguments))
    freeze(base, len(base.layers) // 2)
    for suffix in SUFFIXES:
        save(classifier(base), tmp_path / f"own{suffix}")
        found = sha256_in(tmp_path / f"own{suffix}", name=name, backbone_kwargs={}, image_size=(96, 96))
        assert found == sha256_of_values(base)
        (tmp_path / f"own{suffix}").unlink()


@pytest.mark.exhaustive
@pytest.mark.parametrize("suffix", SUFFIXES[:2])
def test_a_layer_that_could_be_the_backbone_s_is_not_taken_for_it(suffix: str, tmp_path: pathlib.Path) -> None:
    """Another normalization of three channels in front has the shapes and the name of the backbone's own."""
    inputs = keras.Input((64, 64, 3))
    before = keras.layers.Normalization(mean=None)
    before.build((None, 64, 64, 3))
    base = keras.applications.EfficientNetB0(weights=None, include_top=False, input_tensor=before(inputs))
    save(keras.Model(base.input, keras.layers.Dense(2)(base.output)), tmp_path / f"own{suffix}")
    error = usage_error(name="EfficientNetB0", weights=str(tmp_path / f"own{suffix}"), image_size=(64, 64))
    assert "holds more than one EfficientNetB0, or layers like its own: normalization" in error


@pytest.mark.exhaustive
def test_layers_in_another_order_are_told_apart_by_their_names(tmp_path: pathlib.Path) -> None:
    """A model of many outputs may have branches of equal shapes in another order, which numbers of classes show."""
    base = vary(keras.applications.NASNetMobile(weights=None, include_top=False, input_shape=(64, 64, 3)))
    convolutions = [layer for layer in base.layers if isinstance(layer, keras.layers.SeparableConv2D)]
    many = keras.Model(base.input, [*(layer.output for layer in convolutions[::-1]), base.output])
    assert [layer.name for layer in many.layers] != [layer.name for layer in base.layers]
    inputs = keras.Input((64, 64, 3))
    keras.Model(inputs, many(inputs)[-1]).save(tmp_path / "own.keras")
    found = sha256_in(tmp_path / "own.keras", name="NASNetMobile", backbone_kwargs={})
    assert found == sha256_of_values(base)


@pytest.mark.exhaustive
def test_what_is_taken_out_is_bounded_and_not_left_behind(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    path = tmp_path / "own.weights.h5"
    classifier(mobilenet()).save_weights(path)
    assert sha256_in(path)
    spoil(
        path, lambda f, name: f.create_dataset(name, (3, 3, 3, 8), "S100000", chunks=(1, 1, 1, 8), compression="gzip")
    )
    error = usage_error(weights=str(path), **SMALL)
    assert "would inflate" in error
    spoil(path, lambda f, name: f.create_dataset(name, (3, 3, 3, 8), "S1000"))
    error = usage_error(weights=str(path), **SMALL)
    assert f"{NAME} in it has conv1 of |S1000, and the backbone conv1 of (3, 3, 3, 8)" in error
    assert list((tmp_path / "tmp").iterdir()) == []


def spoil(path: pathlib.Path, replace: Callable[[h5py.File, str], object]) -> None:
    """Replace the kernel of a nested backbone's first layer."""
    with h5py.File(path, "r+") as f:
        (name,) = (
            f"{name}/0" for name, group in groups_of(f) if group.attrs.get("name") == "conv1" and name.endswith("vars")
        )
        del f[name]
        replace(f, name)


def groups_of(f: h5py.File) -> list[tuple[str, h5py.Group]]:
    found: list[tuple[str, h5py.Group]] = []
    f.visititems(lambda name, group: found.append((name, group)))
    return found


def test_a_file_without_layers_is_told(tmp_path: pathlib.Path) -> None:
    with h5py.File(tmp_path / "own.h5", "w") as f:
        f["x"] = [1, 2, 3]
    with pytest.raises(UsageError, match="does not fit MobileNet: it has no layers with weights"):
        build_model(Backbone(weights=str(tmp_path / "own.h5"), **SMALL))
