"""Which value of an ONNX graph is the embedding: what classifies is left off, whatever exporters put around it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import GraphProto, TensorProto, helper, numpy_helper

from tests.transforms.backbones.own.conftest import network
from transforms.backbones.backbone import Backbone, OwnModel
from transforms.backbones.own.onnx_models.output import Output, output_of, part_up_to
from transforms.core.errors import UsageError

BACKBONE = Backbone("a.onnx", weights="a.onnx", model=OwnModel("onnx"), image_size=(8, 8), preprocess="raw")
ARRAYS = {"w": np.ones((8, 5), np.float32), "bias": np.ones(5, np.float32)}


def graph_of(lines: Sequence[str], **attributes: Any) -> GraphProto:
    """Return a graph of lines such as 'Gemm x w bias -> y', whose last value is its output."""
    nodes = []
    for line in lines:
        made_of, _, made = line.partition(" -> ")
        kind, *inputs = made_of.split()
        nodes.append(helper.make_node(kind, inputs, made.split()))
    output = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])
    return helper.make_graph(
        nodes, "graph", [image], [output], [numpy_helper.from_array(array, name) for name, array in ARRAYS.items()]
    )


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Relu image -> features", "Gemm features w bias -> y", "Softmax y -> z"], ("y", "softmax")),
        (["Relu image -> features", "MatMul features w -> m", "Add m bias -> y", "Sigmoid y -> z"], ("m", "sigmoid")),
        # PyTorch has the bias first.
        (["Relu image -> features", "MatMul features w -> m", "Add bias m -> y", "Softmax y -> z"], ("m", "softmax")),
        (["Relu image -> features", "Gemm features w -> y", "LogSoftmax y -> z"], ("y", "logsoftmax")),
        (["Relu image -> features", "Gemm features w -> y", "Identity y -> logits"], ("y", "")),
        (["Relu image -> features", "Gemm features w bias -> probs"], ("probs", "")),
        (
            ["Relu image -> features", "Dropout features -> d", "Gemm d w -> y", "Flatten y -> r", "Softmax r -> z"],
            ("y", "softmax"),
        ),
        # The weights are made of constants, as those of a quantized model are.
        (["Relu image -> features", "Abs w -> v", "MatMul features v -> y", "Softmax y -> z"], ("y", "softmax")),
    ],
)  # fmt: skip
def test_a_classifier_is_left_off(lines: list[str], expected: tuple[str, str]) -> None:
    product, scores = expected
    why = f"the classifier {product}" + (f" and {scores}" if scores else "")
    assert output_of(graph_of(lines), BACKBONE) == Output("features", "features", why)


@pytest.mark.parametrize(
    "lines",
    [
        ["Relu image -> features"],
        ["Relu image -> features", "Gemm features w bias -> embedding"],
        ["Relu image -> a", "Identity a -> b"],
    ],
)
def test_another_output_is_the_model_s_own(lines: list[str]) -> None:
    graph = graph_of(lines)
    assert output_of(graph, BACKBONE) == Output(graph.output[0].name)


def test_scores_of_a_product_of_images_lose_only_their_activation() -> None:
    """A similarity, as of CLIP, is no classifier."""
    lines = ["Relu image -> a", "Abs image -> b", "MatMul a b -> y", "Softmax y -> z"]
    assert output_of(graph_of(lines), BACKBONE) == Output("y", "y", "softmax")


def test_only_what_makes_the_value_is_kept() -> None:
    model = network()
    part = part_up_to("vector", model)
    assert [node.op_type for node in part.graph.node] == ["Conv", "Relu", "GlobalAveragePool", "Flatten"]
    assert [tensor.name for tensor in part.graph.initializer] == ["kernel"]
    assert ([one.name for one in part.graph.input], [one.name for one in part.graph.output]) == (["image"], ["vector"])


def test_what_a_graph_in_a_node_takes_is_kept_too() -> None:
    inner = helper.make_graph(
        [helper.make_node("Mul", ["outer", "w"], ["inner"])],
        "inner",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)],
    )
    graph = graph_of(["Relu image -> outer", "Abs image -> unused"])
    graph.node.append(helper.make_node("If", ["condition"], ["chosen"], then_branch=inner, else_branch=inner))
    part = part_up_to("chosen", helper.make_model(graph))
    assert [node.op_type for node in part.graph.node] == ["Relu", "If"]
    assert [tensor.name for tensor in part.graph.initializer] == ["w"]


def test_initializers_that_are_inputs_as_well_are_no_longer() -> None:
    """As of models of before 2019."""
    model = network(end="vector")
    model.ir_version = 3
    model.graph.input.append(helper.make_tensor_value_info("kernel", TensorProto.FLOAT, [8, 3, 3, 3]))
    part = part_up_to("vector", model)
    assert (part.ir_version, [one.name for one in part.graph.input]) == (4, ["image"])


def test_a_name_that_is_no_value_is_refused_with_what_was_meant() -> None:
    graph = graph_of(["Relu image -> features"])
    with pytest.raises(UsageError, match="has no 'feature' \\(did you mean 'features'\\?\\)"):
        output_of(graph, Backbone(**{**vars(BACKBONE), "layer": "feature"}))
