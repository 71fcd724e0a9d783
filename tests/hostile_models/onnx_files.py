"""Hostile ONNX files: data that lies elsewhere, sizes that are lies, graphs without end, operators of its own."""

import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tests.hostile_models.trap import Trap
from tests.transforms.backbones.own.conftest import network

MILLION = 10**6
BOOL, FLOAT, INT64 = TensorProto.BOOL, TensorProto.FLOAT, TensorProto.INT64
node, value = helper.make_node, helper.make_tensor_value_info

Make = Callable[[Trap], ModelProto]


def saved(model: ModelProto, path: pathlib.Path, trap: Trap) -> pathlib.Path:
    """Write an ONNX file, and beside it what its data may name; return its path, or the folder of both."""
    path.write_bytes(model.SerializeToString())
    places = {entry.value for one in model.graph.initializer for entry in one.external_data}
    if not places:
        return path
    (path.parent / "sub").mkdir()
    (path.parent / "short").write_bytes(bytes(100))
    if "link" in places:
        (path.parent / "link").symlink_to(trap.secret)
    if "pipe" in places:
        os.mkfifo(path.parent / "pipe")
    return path.parent


def constant(name: str, values: Any, kind: Any = np.int64) -> TensorProto:
    return numpy_helper.from_array(np.array(values, kind), name)


def ending(nodes: Sequence[NodeProto], given: Iterable[TensorProto] = ()) -> ModelProto:
    """Return a network whose vector is made the value 'end' by more nodes."""
    model = network(end="vector")
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(given)
    model.graph.output[0].name = "end"
    return model


def adding(nodes: Sequence[NodeProto], given: Iterable[TensorProto] = ()) -> ModelProto:
    """Return a network to whose vector the mean of a value 'more' is added, which more nodes make."""
    mean = [node("ReduceMean", ["more"], ["one_number"], keepdims=0), node("Add", ["vector", "one_number"], ["end"])]
    return ending([*nodes, *mean], given)


def making(operator: str, *given: TensorProto, of: Sequence[str] = (), **attributes: Any) -> Make:
    """Return what makes a network that adds what an operator makes of values and of constants."""
    read = [*of, *(one.name for one in given)]
    return lambda _: adding([node(operator, read, ["more"], **attributes)], given)


def changed(change: Callable[[ModelProto], object]) -> Make:
    def make(_: Trap) -> ModelProto:
        model = network(end="vector")
        change(model)
        return model

    return make


def side(place: int, size: int) -> Make:
    return changed(lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[place], "dim_value", size))


def external(place: str, **numbers: int) -> Make:
    """Return what makes a network whose kernel is in another file."""

    def make(trap: Trap) -> ModelProto:
        model = network(end="vector")
        kernel = model.graph.initializer[0]
        kernel.ClearField("raw_data")
        kernel.data_location = TensorProto.EXTERNAL
        kernel.external_data.add(key="location", value=place.format(secret=trap.secret))
        for key, number in numbers.items():
            kernel.external_data.add(key=key, value=str(number))
        return model

    return make


def body(nodes: Sequence[NodeProto], output: str, inputs: Sequence[Any] = ()) -> GraphProto:
    return helper.make_graph(nodes, "body", inputs, [value(output, FLOAT, None)])


def loop(start: str) -> ModelProto:
    """Return a network that doubles a value again and again, as good as for ever."""
    inputs = [value("step", INT64, []), value("go", BOOL, []), value("so_far", FLOAT, None)]
    steps = body([node("Identity", ["go"], ["goes"]), node("Add", ["so_far", "so_far"], ["further"])], "goes", inputs)
    steps.output.append(value("further", FLOAT, None))
    given = [constant("count", 2**62), constant("yes", True, bool), constant("one", 1, np.float32)]
    return adding([node("Loop", ["count", "yes", start], ["more"], body=steps)], given)


def scan() -> ModelProto:
    inputs = [value("so_far", FLOAT, None), value("row", FLOAT, None)]
    steps = body([node("Add", ["so_far", "row"], ["further"]), node("Relu", ["further"], ["seen"])], "further", inputs)
    steps.output.append(value("seen", FLOAT, None))
    scanned = node("Scan", ["vector", "maps"], ["more", "all"], body=steps, num_scan_inputs=1)
    return adding([scanned])


def choice(branch: GraphProto) -> ModelProto:
    """Return a network that adds what one of two branches makes, as the image says."""
    other = body([node("Identity", ["vector"], ["same"])], "same")
    nodes = [node("ReduceMax", ["vector"], ["top"], keepdims=0), node("Greater", ["top", "zero"], ["yes"])]
    nodes.append(node("If", ["yes"], ["more"], then_branch=branch, else_branch=other))
    return adding(nodes, [constant("zero", 0, np.float32), constant("sides", [MILLION, MILLION])])


def choices(depth: int) -> GraphProto:
    """Return a graph of choices of choices, whose branches double at each level."""
    if not depth:
        return body([node("Identity", ["vector"], ["made_0"])], "made_0")
    branch = choices(depth - 1)
    return body([node("If", ["yes"], [f"made_{depth}"], then_branch=branch, else_branch=branch)], f"made_{depth}")


def functions(calls: dict[str, list[str]]) -> ModelProto:
    """Return a network that calls the first of some functions, of which each calls others."""
    model = ending([node(next(iter(calls)), ["vector"], ["end"], domain="mine")])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    for name, called in calls.items():
        names = ["x", *(f"x_{i}" for i in range(1, len(called))), "y"]
        nodes = [node(one, [names[i]], [names[i + 1]], domain="mine") for i, one in enumerate(called)]
        model.functions.append(helper.make_function("mine", name, ["x"], ["y"], nodes, opsets))
    model.opset_import.append(opsets[1])
    return model


def sparse(in_a_node: bool) -> ModelProto:
    tensor = helper.make_sparse_tensor(constant("more", [1], np.float32), constant("places", [0]), [MILLION**2])
    if in_a_node:
        return adding([node("Constant", [], ["more"], sparse_value=tensor)])
    model = adding([])
    model.graph.sparse_initializer.append(tensor)
    return model


def claiming(*sides: int) -> Make:
    """Return what makes a network with a constant that says how large it is, and has no values."""
    return lambda _: adding([], [TensorProto(name="more", data_type=FLOAT, dims=sides)])


ONE = constant("one", [[1]], np.float32)
SIDES = constant("sides", [MILLION, MILLION])

REFUSED: dict[str, Make] = {
    # Data elsewhere.
    "absolute path": external("{secret}"),
    "path above the folder": external("../../trap/secret"),
    "path above, by way of a folder": external("sub/../../../trap/secret"),
    "link": external("link"),
    "pipe": external("pipe"),
    "device": external("/dev/zero"),
    "offset beyond the end": external("short", offset=10**9),
    "offset before the start": external("short", offset=-10),
    "length of terabytes": external("short", length=10**12),
    "too little data": external("short"),
    "no data": external("none"),
    # Lies.
    "tensor of terabytes": claiming(MILLION, MILLION),
    "tensor beyond all numbers": claiming(2**62, 2**62),
    "tensor below nothing": claiming(-4),
    "tensor without values": claiming(4),
    "sparse tensor of terabytes": lambda _: sparse(in_a_node=False),
    "sparse tensor of terabytes in a node": lambda _: sparse(in_a_node=True),
    "a gigapixel": side(2, MILLION),
    # Graphs.
    "circle": lambda _: ending(
        [node("Add", ["vector", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["end"])]
    ),
    "endless loop": lambda _: loop("vector"),
    "endless loop over a constant": lambda _: loop("one"),
    "scan": lambda _: scan(),
    "choices of choices": lambda _: choice(choices(8)),
    "function that calls itself": lambda _: functions({"a": ["a"]}),
    "functions that call each other": lambda _: functions({"a": ["b"], "b": ["a"]}),
    "functions that double": lambda _: functions(
        {**{f"f{i}": [f"f{i + 1}", f"f{i + 1}"] for i in range(40)}, "f40": ["Relu"]}
    ),
    # Sums.
    "ConstantOfShape": making("ConstantOfShape", SIDES),
    "ConstantOfShape as a shape": lambda _: ending(
        [
            node("ConstantOfShape", ["sides"], ["shape"], value=constant("", [1])),
            node("Reshape", ["vector", "shape"], ["end"]),
        ],
        [constant("sides", [MILLION**2])],
    ),
    "ConstantOfShape in a branch": lambda _: choice(body([node("ConstantOfShape", ["sides"], ["made"])], "made")),
    "Expand": making("Expand", ONE, SIDES),
    "Tile": making("Tile", ONE, SIDES),
    "Tile of the maps": making("Tile", constant("times", [1, 1, 10**5, 10**5]), of=["maps"]),
    "Range": making("Range", *(constant(name, n, np.float32) for name, n in (("a", 0), ("b", 1e13), ("c", 1)))),
    "OneHot": making("OneHot", constant("i", [1]), constant("n", 10**13), constant("v", [0, 1], np.float32)),
    "Pad": making("Pad", constant("zeros", [0, 0, *[MILLION] * 2, 0, 0, *[MILLION] * 2]), of=["maps"]),
    "Resize": making("Resize", constant("scales", [1, 1, 10**5, 10**5], np.float32), of=["maps", ""]),
    "RandomUniform": making("RandomUniform", shape=[MILLION, MILLION]),
    "MatMul of what is expanded": lambda _: adding(
        [
            node("Expand", ["column", "long"], ["tall"]),
            node("Transpose", ["tall"], ["wide"]),
            node("MatMul", ["tall", "wide"], ["more"]),
        ],
        [constant("column", [[1]], np.float32), constant("long", [2 * MILLION, 1])],
    ),
    # What is not understood, or takes no images.
    "operators of its own": lambda _: ending([node("Evil", ["vector"], ["end"], domain="evil")]),
    "operator of no domain": lambda _: ending([node("Evil", ["vector"], ["end"])]),
    "operator for training": lambda _: ending([node("Adam", ["vector"], ["end"], domain="ai.onnx.preview.training")]),
    "opset of the future": changed(lambda model: setattr(model.opset_import[0], "version", 9999)),
    "no opset": changed(lambda model: model.ClearField("opset_import")),
    "text": lambda _: adding(
        [node("Identity", ["words"], ["more"])], [helper.make_tensor("words", TensorProto.STRING, [1], [b"x"])]
    ),
    "two inputs": changed(lambda model: model.graph.input.append(value("x", FLOAT, [1]))),
    "two outputs": changed(lambda model: model.graph.output.append(value("maps", FLOAT, None))),
    "no output": changed(lambda model: model.graph.ClearField("output")),
    "output that nothing makes": changed(lambda model: setattr(model.graph.output[0], "name", "nothing")),
    "one channel": side(1, 1),
    "bytes": changed(lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", TensorProto.UINT8)),
    "no rank": changed(lambda model: model.graph.input[0].type.tensor_type.ClearField("shape")),
    "NaN": lambda _: adding([], [constant("more", [np.nan], np.float32)]),
}
"""By what is wrong with them."""
