"""Shapes of an ONNX graph: known also where exporters let the graph make shapes of shapes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from tests.transforms.backbones.own.conftest import network
from transforms.backbones.own.onnx_models.shapes import shapes_of

INTEGERS = {"zero": 0, "one": 1, "minus": -1, "three": [3], "list0": [0], "list1": [1], "list2": [2], "list8": [8]}


def model_of(lines: Sequence[str], **attributes: dict[str, Any]) -> ModelProto:
    """Return a model of lines such as 'Gather shape zero -> batch', and the attributes of nodes by what they make."""
    nodes = []
    for line in lines:
        made_of, _, made = line.partition(" -> ")
        kind, *inputs = made_of.split()
        nodes.append(helper.make_node(kind, inputs, made.split(), **attributes.get(made, {})))
    arrays = {name: np.array(values, np.int64) for name, values in INTEGERS.items()}
    arrays["token"] = np.zeros((1, 1, 8), np.float32)
    arrays["kernel"] = np.zeros((8, 3, 4, 4), np.float32)
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


# A transformer's class token before its patches, as PyTorch expands it to the batch.
TOKENS = model_of(
    [
        "Conv image kernel -> maps",
        "Shape maps -> shape",
        "Slice shape list0 list2 -> start",
        "Concat start minus1 -> rows",
        "Reshape maps rows -> flat",
        "Transpose flat -> patches",
        "Shape patches -> sides",
        "Gather sides zero -> batch",
        "Unsqueeze batch list0 -> batches",
        "Concat batches minus1 minus1 -> wanted",
        "ConstantOfShape three -> ones",
        "Mul ones minus -> kept",
        "Equal wanted kept -> same",
        "Where same ones wanted -> target",
        "Expand token target -> tokens",
        "Concat tokens patches -> all",
    ],
    maps={"strides": [4, 4]},
    rows={"axis": 0},
    flat={},
    patches={"perm": [0, 2, 1]},
    wanted={"axis": 0},
    ones={"value": numpy_helper.from_array(np.array([1], np.int64))},
    all={"axis": 1},
)
TOKENS.graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), "minus1"))


def test_shapes_that_a_graph_makes_of_shapes_are_known() -> None:
    image = np.zeros((2, 3, 16, 24), np.float32)
    (expected,) = ReferenceEvaluator(TOKENS).run(None, {"image": image})
    assert expected.shape == (2, 25, 8)
    assert shapes_of(TOKENS, image.shape)["all"] == [2, 25, 8]
    # ONNX alone does not know all of it; else nothing were computed here.
    TOKENS.graph.input[0].type.CopyFrom(helper.make_tensor_type_proto(TensorProto.FLOAT, image.shape))
    inferred = shape_inference.infer_shapes(TOKENS, data_prop=True)
    assert [side.dim_value for side in inferred.graph.output[0].type.tensor_type.shape.dim] == [2, 0, 8]


@pytest.mark.parametrize("lines", [["Mod sides two -> rest"], ["Div sides two -> rest"], ["Abs sides -> rest"]])
def test_operations_that_onnx_does_not_follow_are_computed(lines: list[str]) -> None:
    model = model_of(
        ["Shape image -> shape", "Slice shape list2 list4 -> sides", *lines, "Concat list1 list1 rest -> wanted",
         "Expand one wanted -> last"],
        wanted={"axis": 0},
    )  # fmt: skip
    model.graph.initializer.append(numpy_helper.from_array(np.array(2, np.int64), "two"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([4], np.int64), "list4"))
    image = np.zeros((2, 3, 17, 9), np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, {"image": image})
    assert shapes_of(model, image.shape)["last"] == list(expected.shape)


@pytest.mark.parametrize("start", [None, 1, -2])
@pytest.mark.parametrize("end", [None, 3, -1])
def test_a_part_of_a_shape_is_known(start: int | None, end: int | None) -> None:
    given = {name: value for name, value in (("start", start), ("end", end)) if value is not None}
    # Divided, since ONNX follows a shape that is taken as it is.
    model = model_of(["Shape image -> some", "Div some one -> same", "Expand one same -> last"], some=given)
    image = np.zeros((2, 3, 4, 5), np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, {"image": image})
    assert shapes_of(model, image.shape)["last"] == list(expected.shape)


def test_what_depends_on_the_images_stays_unknown() -> None:
    model = model_of(["NonZero image -> places", "Shape places -> shape", "Expand one shape -> last"])
    shapes = shapes_of(model, [2, 3, 4, 5])
    assert shapes["places"] == [4, 0]
    assert not all(shapes.get("last", [0]))


def test_no_loop_is_run() -> None:
    """It may have no end."""
    values = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("going", "goes_on")]
    count = helper.make_tensor_value_info("count", TensorProto.INT64, [])
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["goes_on"])], "body", [count, values[0]], values[1:]
    )
    model = model_of(["Relu image -> last"])
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    model.graph.initializer.append(yes)
    model.graph.node.insert(0, helper.make_node("Loop", ["", "yes"], [], body=body))
    assert shapes_of(model, [2, 3, 4, 5])["last"] == [2, 3, 4, 5]


def test_nothing_large_is_computed_and_weights_need_no_data() -> None:
    model = network(end="tokens")
    for tensor in model.graph.initializer:
        if tensor.name == "kernel":
            tensor.dims[0] = 1_000_000
            tensor.ClearField("raw_data")
    assert shapes_of(model, [2, 3, 32, 32])["maps"] == [2, 1_000_000, 15, 15]
    model = model_of(["ConstantOfShape large -> zeros", "Abs zeros -> last"])
    model.graph.initializer.append(numpy_helper.from_array(np.array([10**6, 10**6], np.int64), "large"))
    assert shapes_of(model, [2, 3, 4, 5])["last"] == [10**6, 10**6]
