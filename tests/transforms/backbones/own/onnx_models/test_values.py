"""The data of an ONNX model: wherever it is kept, whole, and in float32."""

import pathlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from tests.transforms.backbones.own.conftest import PIXELS, cosine, network, refused, saved
from transforms.backbones import load_backbone, own_backbone
from transforms.backbones.own.onnx_models.graph import build_onnx_graph
from transforms.backbones.own.onnx_models.values import read_whole
from transforms.core.errors import UsageError

TF = {"preprocess": "tf", "engine": "openvino"}


def vectors_of(path: pathlib.Path) -> np.ndarray:
    return load_backbone(own_backbone(str(path), **TF))(PIXELS)


def in_float16(model: ModelProto) -> ModelProto:
    """Return a model as exporters make it smaller, one of whose casts they leave in it."""
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            half = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    (relu,) = [node for node in model.graph.node if node.op_type == "Relu"]
    relu.input[0] = "cast"
    at = list(model.graph.node).index(relu)
    model.graph.node.insert(at, helper.make_node("Cast", ["raw"], ["cast"], to=TensorProto.FLOAT16))
    return model


def test_a_model_of_float16_is_computed_in_float32(tmp_path: pathlib.Path) -> None:
    """An engine that computed it in float16 would be 1e-3 off the others, each number."""
    path = saved(in_float16(network()), tmp_path / "half.onnx")
    backbone = own_backbone(str(path), **TF)
    model = read_whole(str(path), backbone)
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    assert kinds == {TensorProto.FLOAT, TensorProto.INT64}
    assert [a.i for node in model.graph.node if node.op_type == "Cast" for a in node.attribute] == [TensorProto.FLOAT]
    # The same weights, rounded alike, in a file of float32.
    rounded = network()
    for tensor in rounded.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    expected = vectors_of(saved(rounded, tmp_path / "rounded.onnx"))
    np.testing.assert_allclose(vectors_of(path), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kept", ["beside", "in nodes"])
def test_weights_are_found_wherever_an_exporter_keeps_them(kept: str, tmp_path: pathlib.Path) -> None:
    model = network()
    folder = tmp_path / "model"
    folder.mkdir()
    if kept == "in nodes":
        constants = [
            helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in model.graph.initializer
        ]
        nodes = [*constants, *model.graph.node]
        del model.graph.initializer[:], model.graph.node[:]
        model.graph.node.extend(nodes)
    saved(model, folder / "a.onnx", beside="a.data" if kept == "beside" else "")
    assert cosine(vectors_of(folder), vectors_of(saved(network(), tmp_path / "a.onnx"))) > 1 - 1e-9


def test_functions_are_taken_apart(tmp_path: pathlib.Path) -> None:
    """The newer exporter of PyTorch makes a function of each of its operations."""
    model = network()
    (relu,) = [node for node in model.graph.node if node.op_type == "Relu"]
    body = [helper.make_node("Relu", ["x"], ["y"])]
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "Activated", ["x"], ["y"], body, opsets))
    model.opset_import.append(helper.make_opsetid("own", 1))
    relu.op_type, relu.domain = "Activated", "own"
    found = vectors_of(saved(model, tmp_path / "functions.onnx"))
    assert cosine(found, vectors_of(saved(network(), tmp_path / "a.onnx"))) > 1 - 1e-9


@pytest.mark.parametrize(("depth", "circular"), [(40, False), (3, True)])
def test_functions_that_would_never_end_are_refused(depth: int, circular: bool, tmp_path: pathlib.Path) -> None:
    """Each calls the next one twice."""
    model = network()
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    for i in range(depth):
        after = (i + 1) % depth if circular else i + 1
        called = {"op_type": f"F{after}", "domain": "own"} if circular or after < depth else {"op_type": "Relu"}
        nodes = [helper.make_node(inputs=[x], outputs=[y], **called) for x, y in (("x", "m"), ("m", "y"))]
        model.functions.append(helper.make_function("own", f"F{i}", ["x"], ["y"], nodes, opsets))
    model.opset_import.append(opsets[1])
    (relu,) = [node for node in model.graph.node if node.op_type == "Relu"]
    relu.op_type, relu.domain = "F0", "own"
    said = refused(saved(model, tmp_path / "a.onnx"), **TF)
    assert "is not whole: maximum recursion" in said if circular else "of more nodes than any model has" in said


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("in_a_node", [False, True])
def test_weights_that_are_nan_are_told_by_their_name(in_a_node: bool, half: bool, tmp_path: pathlib.Path) -> None:
    model = network()
    kernel = numpy_helper.to_array(model.graph.initializer[0]).astype(np.float16 if half else np.float32)
    kernel[0, 0, 0, 0] = np.nan
    spoilt = numpy_helper.from_array(kernel, "kernel")
    if in_a_node:
        del model.graph.initializer[0]
        model.graph.node.insert(0, helper.make_node("Constant", [], ["kernel"], value=spoilt))
    else:
        model.graph.initializer[0].CopyFrom(spoilt)
    said = refused(saved(model, tmp_path / "a.onnx"), **TF)
    assert said.endswith("cannot be used: kernel has values that are NaN")


def test_infinite_values_are_masks(tmp_path: pathlib.Path) -> None:
    model = network(end="vector")
    model.graph.initializer.append(numpy_helper.from_array(np.full(8, -np.inf, np.float32), "mask"))
    model.graph.node.append(helper.make_node("Max", ["vector", "mask"], ["masked"]))
    model.graph.output[0].name = "masked"
    expected = vectors_of(saved(network(end="vector"), tmp_path / "a.onnx"))
    assert cosine(vectors_of(saved(model, tmp_path / "masked.onnx")), expected) > 1 - 1e-9


@pytest.mark.parametrize("broken", ["circle", "twice", "no input", "nothing", "name"])
def test_a_graph_that_no_exporter_writes_is_told(broken: str, tmp_path: pathlib.Path) -> None:
    model = network()
    (relu,) = [node for node in model.graph.node if node.op_type == "Relu"]
    (softmax,) = [node for node in model.graph.node if node.op_type == "Softmax"]
    if broken == "circle":
        softmax.input[0] = "softmax"
    elif broken == "twice":
        relu.output[0] = "vector"
    elif broken == "no input":
        del softmax.input[:]
    elif broken == "nothing":
        relu.input[0] = "what nothing makes"
    else:
        softmax.output[0] = model.graph.output[0].name = "soft\x1b[2Jmax"
    assert "is not whole: " in refused(saved(model, tmp_path / "a.onnx"), **TF)


WHOLE = network().SerializeToString()


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(WHOLE) - 1), value=st.integers(0, 255))
def test_no_model_ends_in_a_traceback_while_it_is_built(place: int, value: int, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.onnx").write_bytes(WHOLE[:place] + bytes([value]) + WHOLE[place + 1 :])
    try:
        build_onnx_graph(own_backbone(str(tmp_path / "a.onnx"), **TF))
        lines = [""]
    except UsageError as e:
        lines = str(e).splitlines()
    assert len(lines) == 1


def test_data_that_is_cut_is_told(tmp_path: pathlib.Path) -> None:
    saved(network(), tmp_path / "a.onnx", beside="a.data")
    (tmp_path / "a.data").write_bytes((tmp_path / "a.data").read_bytes()[:100])
    assert "is not whole: " in refused(tmp_path, **TF)
    model = network()
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-4]
    assert "is not whole: " in refused(saved(model, tmp_path / "b.onnx"), **TF)
