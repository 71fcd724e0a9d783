"""What stands around an ONNX model: names of its own, and numbers that are right also for vectors of zeros."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from tests.transforms.backbones.own.conftest import PIXELS, network
from transforms.backbones.backbone import Backbone, OwnModel
from transforms.backbones.own.onnx_models.around import surround

BACKBONE = {"weights": "a.onnx", "model": OwnModel("onnx"), "image_size": (4, 4), "preprocess": "raw"}


def of_one_node(rank: int, opset: int) -> onnx.ModelProto:
    """A model that does nothing but give its image, flat if the rank is 2."""
    node = helper.make_node("Flatten" if rank == 2 else "Identity", ["image"], ["given"])
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 4, 4, 3])],
        [helper.make_tensor_value_info("given", TensorProto.FLOAT, None)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def run(model: onnx.ModelProto, pixels: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    (given,) = model.graph.input
    (vectors,) = ReferenceEvaluator(model).run(None, {given.name: pixels})
    assert vectors.dtype == np.float32
    return vectors


@pytest.mark.parametrize("opset", [8, 13, 17, 18, 21])
def test_vectors_are_of_unit_length_or_zero(opset: int) -> None:
    model = of_one_node(2, opset)
    surround(model, 2, images_first=False, maps_first=False, backbone=Backbone("a", normalize=True, **BACKBONE))
    pixels = PIXELS[:3, :4, :4].copy()
    pixels[1] = 0
    pixels[2] = 0
    pixels[2, 0, 0, 0] = 1
    vectors = run(model, pixels)
    flat = pixels.reshape(3, -1).astype(np.float64)
    np.testing.assert_allclose(
        vectors[[0, 2]], flat[[0, 2]] / np.linalg.norm(flat[[0, 2]], axis=1, keepdims=True), 1e-6
    )
    assert not vectors[1].any()


@pytest.mark.parametrize("opset", [8, 18])
@pytest.mark.parametrize(("pooling", "expected"), [("avg", np.mean), ("max", np.max)])
def test_maps_with_their_channels_last_are_pooled_so(pooling: str, expected: object, opset: int) -> None:
    model = of_one_node(4, opset)
    surround(model, 4, images_first=False, maps_first=False, backbone=Backbone("a", pooling=pooling, **BACKBONE))
    pixels = PIXELS[:3, :4, :4]
    np.testing.assert_allclose(run(model, pixels), expected(pixels.astype(np.float32), axis=(1, 2)), rtol=1e-6)


def test_names_that_the_model_has_are_not_taken() -> None:
    model = network(end="vector")
    taken = dict.fromkeys(("before.0", "before.pixels", "after.0", "after_.1"))
    for node, name in zip(model.graph.node, taken, strict=False):
        old, node.output[0] = node.output[0], name
        for other in (*model.graph.node, model.graph.output[0]):
            if other is model.graph.output[0]:
                other.name = name if other.name == old else other.name
            else:
                other.input[:] = [name if one == old else one for one in other.input]
    expected = ReferenceEvaluator(model).run(None, {"image": PIXELS.transpose(0, 3, 1, 2).astype(np.float32)})[0]
    backbone = Backbone("a", **{**BACKBONE, "image_size": PIXELS.shape[1:3]})
    surround(model, 2, images_first=True, maps_first=True, backbone=backbone)
    np.testing.assert_allclose(run(model, PIXELS), expected, rtol=1e-4)
