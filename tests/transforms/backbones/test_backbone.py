"""Backbones: names, outputs, weights from every source, and what is said when they do not fit."""

import hashlib
import pathlib
import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph

from tests.conftest import answer
from transforms import Backbone, embedding_spec
from transforms.backbones import find_backbone, load_backbone, name_classes
from transforms.backbones.catalog.facts import catalog
from transforms.backbones.engines import ENGINES
from transforms.backbones.graph.graph import build_graph
from transforms.core.errors import UsageError

SMALL = {"name": "MobileNet", "backbone_kwargs": {"alpha": 0.25}, "image_size": (64, 64)}
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)


def usage_error(**arguments: object) -> str:
    with pytest.raises(UsageError) as error:
        load_backbone(Backbone(**arguments))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A small MobileNet with weights of its own."""
    keras.utils.set_random_seed(7)
    return keras.applications.MobileNet(
        alpha=0.25, weights=None, include_top=False, pooling="avg", input_shape=(64, 64, 3)
    )


def plain(model: keras.Model, pixels: np.ndarray = PIXELS) -> np.ndarray:
    return model.predict(keras.applications.mobilenet.preprocess_input(pixels.astype("float32")), verbose=0)


def test_naming_a_backbone_imports_no_tensorflow() -> None:
    code = "import sys; from transforms import Backbone; Backbone('resnet50'); sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_names_are_of_any_case_and_nearly_right_ones_are_suggested() -> None:
    assert find_backbone("efficientnetv2b0").name == "EfficientNetV2B0"
    with pytest.raises(UsageError, match="did you mean 'ResNet50'"):
        Backbone("ResNet-50")


def test_there_are_the_forty_constructors_of_keras() -> None:
    keras_has = [name for name in vars(keras.applications) if name[0].isupper()]
    assert sorted(catalog()) == sorted(keras_has)
    assert len(keras_has) == 40


def test_random_weights_are_the_same_in_each_process() -> None:
    code = (
        "import json; from transforms import Backbone, embedding_spec;"
        f"print(embedding_spec(Backbone(weights='random', **{SMALL!r})).weights_sha256)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert found == embedding_spec(Backbone(weights="random", **SMALL)).weights_sha256


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
def test_weights_come_from_each_kind_of_file(tmp_path: pathlib.Path, model: keras.Model, suffix: str) -> None:
    path = tmp_path / f"own{suffix}"
    model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = load_backbone(Backbone(weights=str(path), weights_sha256=sha256.upper(), **SMALL))
    np.testing.assert_allclose(loaded(PIXELS), plain(model), rtol=1e-4, atol=1e-5)


def test_a_wrong_sha256_is_refused_before_the_file_is_parsed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "not-even-hdf5.h5"
    path.write_bytes(b"junk")
    assert "not the --weights_sha256 00" in usage_error(weights=str(path), weights_sha256="00", **SMALL)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
def test_weights_that_do_not_fit_name_the_layer(tmp_path: pathlib.Path, model: keras.Model, suffix: str) -> None:
    path = tmp_path / f"own{suffix}"
    model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
    assert "conv1" in usage_error(name="MobileNet", weights=str(path))
    assert "conv1" in usage_error(name="ResNet50", weights=str(path)).lower()


def test_weights_that_are_missing_broken_or_of_another_kind_are_told(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"junk")
    (tmp_path / "a.keras").write_bytes(b"junk")
    assert "cannot read --weights foo://none.h5" in usage_error(weights="foo://none.h5")
    assert "no weights file" in usage_error(weights=str(tmp_path / "none.h5"))
    assert "does not fit" in usage_error(weights=str(tmp_path / "a.h5"))
    assert "no .keras file" in usage_error(weights=str(tmp_path / "a.keras"))
    assert "must be imagenet, random or a file" in usage_error(weights="imagenet21k")


def test_a_keras_file_that_inflates_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(10_000_000))
    assert "would inflate to 10000000 bytes" in usage_error(weights=str(path))


def test_the_code_in_a_weights_file_is_not_run(tmp_path: pathlib.Path, model: keras.Model) -> None:
    sign = tmp_path / "ran"
    path = tmp_path / "hostile.keras"
    program = keras.layers.Lambda(lambda x, sign=str(sign): (open(sign, "w").close(), x)[1])
    keras.Sequential([keras.Input((64, 64, 3)), program]).save(path)
    sign.unlink(missing_ok=True)
    usage_error(weights=str(path), **SMALL)
    assert not sign.exists()


def test_a_saved_model_needs_trust(tmp_path: pathlib.Path, model: keras.Model) -> None:
    path = tmp_path / "saved"
    model.export(path, verbose=False)
    assert "--trust_saved_model" in usage_error(weights=str(path), **SMALL)
    loaded = load_backbone(Backbone(weights=str(path), trust_saved_model=True, **SMALL))
    np.testing.assert_allclose(loaded(PIXELS), plain(model), rtol=1e-4, atol=1e-5)


def test_a_saved_model_that_cannot_be_a_backbone_is_told(tmp_path: pathlib.Path, model: keras.Model) -> None:
    model.export(tmp_path / "fine", verbose=False)
    fine = {"weights": str(tmp_path / "fine"), "trust_saved_model": True, **SMALL}
    assert "drop --layer, --pooling" in usage_error(**fine, layer="conv1")
    assert "drop --layer, --pooling" in usage_error(**fine, pooling="max")
    image = tf.TensorSpec([None, 64, 64, 3])
    two_inputs = tf.function(lambda x, y: tf.reduce_mean(x + y, [1, 2]), input_signature=[image, image])
    two_outputs = tf.function(lambda x: {"a": tf.reduce_mean(x, [1, 2]), "b": x}, input_signature=[image])
    for name, function in {"inputs": two_inputs, "outputs": two_outputs}.items():
        tf.saved_model.save(tf.Module(), str(tmp_path / name), signatures=function)
        error = usage_error(weights=str(tmp_path / name), trust_saved_model=True, **SMALL)
        assert "a serving_default of one input and one output" in error
    shutil.copytree(tmp_path / "fine", tmp_path / "cut")
    (data,) = (tmp_path / "cut" / "variables").glob("*.data*")
    data.write_bytes(data.read_bytes()[:1000])
    assert "cannot be used as a SavedModel" in usage_error(**fine | {"weights": str(tmp_path / "cut")})


@pytest.mark.parametrize("engine", ENGINES)
def test_a_saved_model_may_name_its_variables_as_it_likes(tmp_path: pathlib.Path, engine: str) -> None:
    path, random = tmp_path / "saved", np.random.default_rng(0)
    module = tf.Module()
    module.weights = [tf.Variable(random.standard_normal((3, 3), np.float32), name="same") for _ in range(2)]

    @tf.function(input_signature=[tf.TensorSpec([None, 64, 64, 3])])
    def means(x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(x, [1, 2]) @ module.weights[0] @ module.weights[1]

    tf.saved_model.save(module, str(path), signatures=means)
    loaded = load_backbone(Backbone(weights=str(path), trust_saved_model=True, engine=engine, **SMALL))
    first, second = (weight.numpy() for weight in module.weights)
    expected = (PIXELS / 127.5 - 1).mean(axis=(1, 2)) @ first @ second
    np.testing.assert_allclose(loaded(PIXELS), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", ["avg", "max", "flatten"])
def test_a_layer_is_pooled_as_asked(pooling: str) -> None:
    loaded = load_backbone(Backbone(weights="random", layer="conv_pw_3_relu", pooling=pooling, **SMALL))
    keras.utils.set_random_seed(0)
    whole = keras.applications.MobileNet(alpha=0.25, weights=None, include_top=False, input_shape=(64, 64, 3))
    maps = plain(keras.Model(whole.input, whole.get_layer("conv_pw_3_relu").output))
    expected = {"avg": maps.mean(axis=(1, 2)), "max": maps.max(axis=(1, 2)), "flatten": maps.reshape(3, -1)}[pooling]
    np.testing.assert_allclose(loaded(PIXELS), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
def test_a_layer_has_the_weights_that_a_file_of_the_whole_has(tmp_path: pathlib.Path, suffix: str) -> None:
    keras.utils.set_random_seed(7)
    whole = keras.applications.NASNetMobile(weights=None, include_top=False, input_shape=(64, 64, 3))
    path = tmp_path / f"own{suffix}"
    whole.save_weights(path) if suffix == ".weights.h5" else whole.save(path)
    # It lies in a branch: layers of the others, of the same kinds and shapes, come before it in the file.
    layer = "adjust_bn_8"
    maps = keras.Model(whole.input, whole.get_layer(layer).output)(PIXELS / np.float32(127.5) - 1, training=False)
    loaded = load_backbone(Backbone("NASNetMobile", weights=str(path), layer=layer, image_size=(64, 64)))
    np.testing.assert_allclose(loaded(PIXELS), np.mean(maps, axis=(1, 2)), rtol=1e-3, atol=1e-5)


def test_a_policy_of_the_caller_s_does_not_reach_a_backbone() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        graph = build_graph(Backbone(weights="random", **SMALL))
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy("float32")
    types = {output.dtype for node in graph.function.graph.get_operations() for output in node.outputs}
    assert tf.float16 not in types


@pytest.mark.parametrize("pooling", ["max", "flatten"])
def test_the_last_map_is_pooled_as_asked(pooling: str) -> None:
    loaded = load_backbone(Backbone(weights="random", pooling=pooling, **SMALL))
    keras.utils.set_random_seed(0)
    maps = plain(keras.applications.MobileNet(alpha=0.25, weights=None, include_top=False, input_shape=(64, 64, 3)))
    expected = maps.max(axis=(1, 2)) if pooling == "max" else maps.reshape(3, -1)
    np.testing.assert_allclose(loaded(PIXELS), expected, rtol=1e-4, atol=1e-5)


def test_logits_become_probabilities_by_softmax() -> None:
    logits = load_backbone(Backbone(weights="random", include_top=True, classifier_activation="linear", **SMALL))
    scores = load_backbone(Backbone(weights="random", include_top=True, **SMALL))
    exponentials = np.exp(logits(PIXELS).astype(np.float64))
    assert scores(PIXELS).shape == (len(PIXELS), 1000)
    np.testing.assert_allclose(scores(PIXELS), exponentials / exponentials.sum(axis=1, keepdims=True), rtol=1e-4)


def test_normalized_vectors_have_unit_norm_and_the_same_direction() -> None:
    raw = load_backbone(Backbone(weights="random", **SMALL))(PIXELS)
    unit = load_backbone(Backbone(weights="random", normalize=True, **SMALL))(PIXELS)
    np.testing.assert_allclose(unit, raw / np.linalg.norm(raw, axis=1, keepdims=True), rtol=1e-4, atol=1e-6)


def test_classes_of_another_top_are_known_by_their_index() -> None:
    assert name_classes(np.array([[0.1, 0.7, 0.2]], np.float32), 2) == [
        (("1", "1", pytest.approx(0.7)), ("2", "2", pytest.approx(0.2)))
    ]


def test_one_load_a_process_and_one_trace_for_any_number_of_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_backbone(Backbone(weights="random", **SMALL))
    assert load_backbone(Backbone(weights="random", **SMALL)) is loaded
    traced: list[object] = []
    begin = FuncGraph.__init__

    def noted(graph: FuncGraph, *arguments: object, **named: object) -> None:
        traced.append(graph)
        begin(graph, *arguments, **named)

    monkeypatch.setattr(FuncGraph, "__init__", noted)
    for n in (1, 2, 3, 1):
        assert loaded(PIXELS[:n]).shape == (n, 256)
    assert traced == []
    tf.function(tf.identity)(1)
    assert len(traced) == 1


def test_pixels_enter_the_graph_as_uint8() -> None:
    graph = build_graph(Backbone(weights="random", **SMALL))
    assert [(x.dtype, x.shape.as_list()) for x in graph.function.inputs[:1]] == [(tf.uint8, [None, 64, 64, 3])]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone_kwargs": {"alfa": 1}}, "did you mean 'alpha'"),
        ({"backbone_kwargs": {"pooling": "avg"}}, "use --pooling"),
        ({"layer": "blok_1_pad"}, "did you mean 'block_1_pad'"),
        ({"top_k": 5}, "add --include_top"),
        ({"layer": "x", "include_top": True}, "give one of them"),
        ({"image_size": (8, 8)}, "at least 32x32"),
        ({"pooling": "sum"}, "one of avg, max, flatten"),
    ],
)
def test_arguments_that_cannot_work_are_told_in_one_line(arguments: dict[str, object], message: str) -> None:
    assert message in usage_error(weights="random", **arguments)


@pytest.fixture
def own_keras_home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """An empty cache, for this process's Keras too."""
    from keras.src.backend import config

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path))
    return tmp_path


def test_weights_are_downloaded_once_and_their_absence_names_both_ways_out(
    serve: object, own_keras_home: pathlib.Path, monkeypatch: pytest.MonkeyPatch, model: keras.Model
) -> None:
    no_top = keras.applications.MobileNet(alpha=0.25, weights=None, include_top=False, input_shape=(64, 64, 3))
    no_top.set_weights(model.get_weights())
    no_top.save(own_keras_home / "made.h5")
    file = (own_keras_home / "made.h5").read_bytes()
    requests: list[str] = []

    def handler(request: object) -> None:
        requests.append(request.path)
        if request.path.endswith("mobilenet_2_5_224_tf_no_top.h5"):
            answer(request, 200, file)
        else:
            answer(request, 404)

    address = serve(handler) + "/"
    module = sys.modules[keras.applications.MobileNet.__module__]
    monkeypatch.setattr(module, "BASE_WEIGHT_PATH", address)
    message = usage_error(name="MobileNet", backbone_kwargs={"alpha": 0.5}, image_size=(64, 64))
    assert f"put mobilenet_5_0_224_tf_no_top.h5 into {own_keras_home}/models" in message
    assert "--weights random" in message
    assert "--weights FILE" in message
    for normalize in (False, True):
        loaded = load_backbone(Backbone(weights="imagenet", normalize=normalize, **SMALL))
        assert loaded(PIXELS).shape == (len(PIXELS), 256)
    np.testing.assert_allclose(load_backbone(Backbone(**SMALL))(PIXELS), plain(model), rtol=1e-4, atol=1e-5)
    assert requests.count("/mobilenet_2_5_224_tf_no_top.h5") == 1
    assert (own_keras_home / "models" / "mobilenet_2_5_224_tf_no_top.h5").read_bytes() == file


def test_imagenet_weights_that_are_broken_are_named(own_keras_home: pathlib.Path) -> None:
    broken = own_keras_home / "models" / "mobilenet_2_5_224_tf_no_top.h5"
    broken.parent.mkdir()
    broken.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(1000))
    message = usage_error(weights="imagenet", normalize=True, pooling="max", **SMALL)
    assert f"delete their file in {own_keras_home}/models" in message


def test_a_spec_says_what_decides_the_numbers() -> None:
    spec = embedding_spec(Backbone(weights="random", **SMALL), resize="pad", embedding_dtype="float16")
    assert (spec.backbone, spec.backbone_kwargs, spec.weights, spec.dim) == (
        "MobileNet",
        {"alpha": 0.25},
        "random",
        256,
    )
    assert (spec.image_size, spec.decoded_for, spec.resize) == ((64, 64), (64, 64), "pad")
    assert spec.embedding_dtype == "float16"
