"""A backbone as one graph: uint8 pixels in, float32 vectors out, facts as soon as they are known."""

import dataclasses
import pathlib
import threading

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tests.transforms.backbones.conftest import PIXELS, SMALL
from transforms import Backbone
from transforms.backbones import load_backbone, own_backbone
from transforms.backbones.backbone import WeightsFacts
from transforms.backbones.graph import graph
from transforms.backbones.graph.graph import build_graph
from transforms.backbones.graph.source import GraphSource, TensorFunction
from transforms.core.errors import UsageError


def scaled_means(folder: pathlib.Path, scale: float) -> Backbone:
    """Write a SavedModel that gives the three means of the channels, times `scale`, and normalize its vectors."""
    means = tf.function(lambda x: scale * tf.reduce_mean(x, [1, 2]), input_signature=[tf.TensorSpec([None, 64, 64, 3])])
    tf.saved_model.save(tf.Module(), str(folder / "means"), signatures=means)
    return own_backbone(str(folder / "means"), trust_model=True, preprocess="tf", normalize=True)


def test_pixels_enter_the_graph_as_uint8_and_vectors_leave_it_as_float32() -> None:
    function = build_graph(Backbone(weights="random", **SMALL)).function
    assert [(x.dtype, x.shape.as_list()) for x in function.inputs[:1]] == [(tf.uint8, [None, 64, 64, 3])]
    assert [(x.dtype, x.shape.as_list()) for x in function.outputs] == [(tf.float32, [None, 256])]


def test_normalized_vectors_have_unit_norm_and_the_same_direction() -> None:
    raw = load_backbone(Backbone(weights="random", **SMALL))(PIXELS)
    unit = load_backbone(Backbone(weights="random", normalize=True, **SMALL))(PIXELS)
    np.testing.assert_allclose(unit, raw / np.linalg.norm(raw, axis=1, keepdims=True), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_a_vector_whose_squares_float32_cannot_hold_is_normalized_too(tmp_path: pathlib.Path, scale: float) -> None:
    means = (PIXELS / 127.5 - 1).mean(axis=(1, 2))
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    found = build_graph(scaled_means(tmp_path, scale)).function(tf.constant(PIXELS))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_vector_of_zeros_stays_one(tmp_path: pathlib.Path) -> None:
    found = build_graph(scaled_means(tmp_path, 0)).function(tf.constant(PIXELS))
    np.testing.assert_array_equal(found, np.zeros((len(PIXELS), 3)))


def test_facts_are_told_while_the_graph_is_still_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    known = threading.Event()

    def prepare() -> tuple[TensorFunction, list[object]]:
        assert known.wait(60)
        return lambda x: tf.reduce_mean(x, [1, 2]), []

    facts = WeightsFacts(3, "ab")
    monkeypatch.setattr(graph, "keras_source", lambda backbone: GraphSource(lambda: facts, prepare))
    told: list[WeightsFacts] = []
    built = build_graph(Backbone(weights="random", **SMALL), lambda found: (told.append(found), known.set()))
    assert (told, built.facts) == ([facts], facts)
    np.testing.assert_allclose(built.function(tf.constant(PIXELS)), PIXELS.mean(axis=(1, 2)), rtol=1e-5)


def test_an_image_size_that_a_graph_does_not_take_is_told(tmp_path: pathlib.Path) -> None:
    backbone = scaled_means(tmp_path, 1)
    with pytest.raises(UsageError, match=r"means cannot be run on images of \(32, 48\): "):
        build_graph(dataclasses.replace(backbone, image_size=(32, 48)))


def test_weights_that_cannot_be_read_are_refused_as_they_would_be_without_a_graph(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UsageError, match="no weights file"):
        build_graph(Backbone(weights=str(tmp_path / "none.h5"), **SMALL))


@pytest.mark.parametrize(("engine", "saver"), [("tensorflow", False), ("openvino", True)])
def test_a_saver_is_written_for_engines_that_find_variables_by_their_names(
    engine: str, saver: bool, tmp_path: pathlib.Path
) -> None:
    build_graph(Backbone(weights="random", engine=engine, **SMALL)).save(str(tmp_path / "graph"))
    saved = SavedModel.FromString((tmp_path / "graph" / "saved_model.pb").read_bytes())
    nodes = [node.op for function in saved.meta_graphs[0].graph_def.library.function for node in function.node_def]
    assert ("RestoreV2" in nodes) is saver


def test_what_is_saved_gives_the_same_numbers(tmp_path: pathlib.Path) -> None:
    built = build_graph(Backbone(weights="random", **SMALL))
    built.save(str(tmp_path / "graph"))
    (found,) = tf.saved_model.load(str(tmp_path / "graph")).signatures["serving_default"](tf.constant(PIXELS)).values()
    np.testing.assert_array_equal(found, built.function(tf.constant(PIXELS)))


def test_a_folder_that_cannot_be_written_to_is_an_oserror(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        build_graph(Backbone(weights="random", **SMALL)).save(str(tmp_path / "file" / "graph"))
