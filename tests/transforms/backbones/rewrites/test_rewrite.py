"""Rewritten or as Keras built it: the same numbers by different graphs, which are never taken for each other."""

import collections
import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np
import pytest

from transforms import Backbone, EmbeddingSpec, embedding_spec
from transforms.backbones import load_backbone, loaded
from transforms.backbones.graph import graph as graphs_of
from transforms.backbones.graph.graph import Graph, build_graph
from transforms.backbones.graph.keras_applications import keras, preprocess_of
from transforms.backbones.kept import graphs
from transforms.core.tensorflow_setup import tf

SIDES = {"MobileNetV2": 32, "ResNet50": 32, "VGG16": 32, "DenseNet121": 32, "Xception": 71}
"""A backbone of each kind that is rewritten, and a side that it takes, in px."""
BOTH = ("tensorflow", "openvino")
ENGINES = {
    "MobileNetV2": BOTH,
    "ResNet50": BOTH,
    "VGG16": ("tensorflow",),
    "DenseNet121": ("tensorflow",),
    "Xception": ("openvino",),
}
"""Both where a backbone has several rewrites; the others add one kind of layer each, and take one engine."""


SLOW = ("MobileNetV2", "ResNet50", "DenseNet121", "Xception")


@dataclasses.dataclass
class Run:
    """A backbone that was run once."""

    backbone: Backbone
    operations: list[tf.Operation]
    vectors: np.ndarray
    spec: EmbeddingSpec
    kept: graphs.KeptGraph | None


@dataclasses.dataclass
class Runs:
    """The same backbone by plain Keras, and by each engine, rewritten and not."""

    name: str
    operations: list[tf.Operation]
    vectors: np.ndarray
    by_engine: dict[str, tuple[Run, Run]]

    def each(self, rewrites: bool) -> list[Run]:
        return [pair[not rewrites] for pair in self.by_engine.values()]


def run(backbone: Backbone, pixels: np.ndarray) -> Run:
    built: list[Graph] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs_of, "build_graph", lambda backbone, _: built.append(build_graph(backbone)) or built[0])
        vectors = load_backbone(backbone)(pixels).astype(np.float64)
    operations = built[0].function.graph.get_operations()
    return Run(backbone, operations, vectors, embedding_spec(backbone), graphs.find(graphs.name_of(backbone)))


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[pytest.mark.exhaustive] * (name in SLOW)) for name in SIDES]
)
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Run a backbone in all ways, with weights whose normalizations do something."""
    name, side = request.param, SIDES[request.param]
    folder, random = tmp_path_factory.mktemp(name), np.random.default_rng(0)
    model = getattr(keras.applications, name)(
        weights=None, include_top=False, pooling="avg", input_shape=(side, side, 3)
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # Those of random weights are all alike.
            layer.set_weights([w + random.uniform(-0.2, 0.2, w.shape) for w in layer.get_weights()])
    weights = str(folder / "own.weights.h5")
    model.save_weights(weights)
    pixels, preprocess = random.integers(0, 256, (2, side, side, 3), np.uint8), preprocess_of(name)

    @tf.function(input_signature=[tf.TensorSpec([None, side, side, 3], tf.uint8)], autograph=False)
    def by_keras(x: tf.Tensor) -> tf.Tensor:
        return model(preprocess(tf.cast(x, tf.float32)), training=False)

    traced = by_keras.get_concrete_function()
    vectors = traced(tf.constant(pixels)).numpy().astype(np.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBED_IMAGES_CACHE", str(folder / "cache"))
        by_engine = {}
        for engine in ENGINES[name]:
            rewritten = Backbone(name, weights=weights, image_size=(side, side), engine=engine)
            plain = dataclasses.replace(rewritten, rewrites=False)
            by_engine[engine] = run(rewritten, pixels), run(plain, pixels)
        yield Runs(name, traced.graph.get_operations(), vectors, by_engine)
    loaded._loaded.clear()


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def products_by_position(operations: list[tf.Operation]) -> int:
    """Count the layers that multiply by a matrix for each position, as nothing but Winograd's convolution does."""
    return sum(x.type == "BatchMatMulV2" and x.inputs[1].shape[0] in (36, 49, 64, 81) for x in operations)


def padded_poolings(operations: list[tf.Operation]) -> int:
    return sum(x.type == "MaxPool" and x.get_attr("padding") == b"EXPLICIT" for x in operations)


def kinds(operations: list[tf.Operation]) -> collections.Counter[str]:
    """Count the operations by type, but for those that only pass a value on."""
    return collections.Counter(x.type for x in operations if x.type not in ("Identity", "NoOp"))


def test_the_numbers_are_the_same_with_rewrites_and_without(runs: Runs) -> None:
    for rewritten, plain in runs.by_engine.values():
        assert cosines(rewritten.vectors, plain.vectors).min() >= 0.99999
        norms = np.linalg.norm(rewritten.vectors, axis=1), np.linalg.norm(plain.vectors, axis=1)
        np.testing.assert_allclose(*norms, rtol=1e-4)


def test_without_rewrites_the_numbers_are_keras_own(runs: Runs) -> None:
    for plain in runs.each(rewrites=False):
        np.testing.assert_allclose(plain.vectors, runs.vectors, rtol=1e-3, atol=1e-5 * np.abs(runs.vectors).max())


def test_without_rewrites_the_graph_is_the_one_of_keras(runs: Runs) -> None:
    for plain in runs.each(rewrites=False):
        assert kinds(plain.operations) == kinds(runs.operations)
        assert products_by_position(plain.operations) == padded_poolings(plain.operations) == 0


@dataclasses.dataclass
class Less:
    """What rewriting makes of a graph: how many normalizations and paddings are left, and what is there instead."""

    normalizations: tuple[int, int]
    paddings: tuple[int, int]
    padded_poolings: int
    by_winograd: int


LESS = {
    "MobileNetV2": Less((52, 0), (4, 0), 0, 0),
    "ResNet50": Less((53, 0), (2, 1), 1, 13),
    "VGG16": Less((0, 0), (0, 0), 0, 11),
    "DenseNet121": Less((121, 62), (2, 1), 1, 0),
    "Xception": Less((40, 0), (0, 0), 0, 0),
}


def test_with_rewrites_there_is_less_in_the_graph(runs: Runs) -> None:
    expected = LESS[runs.name]
    for rewritten in runs.each(rewrites=True):
        before, after = kinds(runs.operations), kinds(rewritten.operations)
        assert (before["Rsqrt"], after["Rsqrt"]) == expected.normalizations
        assert (before["Pad"], after["Pad"]) == expected.paddings
        assert padded_poolings(rewritten.operations) == expected.padded_poolings
        assert products_by_position(rewritten.operations) == expected.by_winograd
        assert after["ReadVariableOp"] < before["ReadVariableOp"]


def test_numbers_of_both_kinds_are_never_taken_for_each_other(runs: Runs) -> None:
    for rewritten, plain in runs.by_engine.values():
        assert rewritten.backbone.key != plain.backbone.key
        assert rewritten.kept is not None
        assert plain.kept is not None
        assert rewritten.kept.folder != plain.kept.folder
        assert rewritten.spec == plain.spec


def multiplied_in_batches(backbone: Backbone) -> int:
    return products_by_position(build_graph(backbone).function.graph.get_operations())


@pytest.mark.exhaustive
def test_the_graph_of_resnet50_has_its_thirteen() -> None:
    # 4 of 28 x 28 px, 6 of 14 x 14 and 3 of 7 x 7; the first 3, of 56 x 56, have 64 filters.
    assert multiplied_in_batches(Backbone("ResNet50", weights="random")) == 13


@pytest.mark.exhaustive
def test_vectors_are_those_of_keras() -> None:
    built = build_graph(Backbone("ResNet50", weights="random", image_size=(64, 64)))
    assert products_by_position(built.function.graph.get_operations())
    pixels = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    keras.utils.set_random_seed(0)
    model = keras.applications.ResNet50(weights=None, include_top=False, pooling="avg", input_shape=(64, 64, 3))
    expected = model(keras.applications.resnet50.preprocess_input(pixels.astype(np.float32)), training=False).numpy()
    found = built.function(keras.ops.convert_to_tensor(pixels))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_another_precision_has_too_few_digits_for_winograd() -> None:
    assert not multiplied_in_batches(Backbone("ResNet50", weights="random", engine="openvino", precision="bfloat16"))


def test_beside_a_gpu_the_graph_is_another_one(monkeypatch: pytest.MonkeyPatch, own_cache: pathlib.Path) -> None:
    backbone = Backbone("ResNet50", weights="random")
    here = graphs.name_of(backbone)
    for module in ("transforms.backbones.kept.graphs", "transforms.backbones.rewrites"):
        monkeypatch.setattr(f"{module}.has_gpu", lambda: True)
    assert graphs.name_of(backbone) != here
    assert not multiplied_in_batches(backbone)


@pytest.mark.parametrize(("device", "left"), [("CPU", 0), ("GPU", 27)])
def test_a_graph_is_folded_unless_keras_computes_it_in_mixed_precision(
    monkeypatch: pytest.MonkeyPatch, device: str, left: int
) -> None:
    monkeypatch.setattr("transforms.backbones.engines.tensorflow.device", lambda: device)
    graph = build_graph(Backbone("MobileNet", weights="random", image_size=(32, 32), precision="bfloat16"))
    normalizations = [node for node in graph.function.graph.get_operations() if node.type == "Rsqrt"]
    assert len(normalizations) == left
