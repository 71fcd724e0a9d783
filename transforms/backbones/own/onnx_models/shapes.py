"""The shapes of the values in an ONNX graph, for images of one size: what an exporter left to be computed is computed.

ONNX infers shapes from shapes. Exporters let a graph take shapes apart and make new ones of them, for a batch of any
size. Those numbers are few, and known once the images are; so they are computed, and ONNX infers on.
"""

import math
from collections.abc import Sequence
from typing import Any

from transforms.backbones.own.onnx_models.file import onnx
from transforms.backbones.own.onnx_models.walks import graphs_in, graphs_of

MOST_NUMBERS = 4096
"""Numbers of the largest value that is computed here: shapes and ranges have fewer, pictures and weights more."""


def shapes_of(model: Any, sides: Sequence[int]) -> dict[str, list[int]]:
    """Return the shapes of a model's values by name, 0 where a side is not known; those of unknown rank are left out.

    Args:
      model: an onnx.ModelProto of one input, with the data of its small tensors.
      sides: the shape of the input.
    """
    outline = _outline(model, sides)
    while True:
        _lend(outline.graph)
        inferred = onnx.shape_inference.infer_shapes(outline, data_prop=True)
        shapes = {tensor.name: list(tensor.dims) for tensor in inferred.graph.initializer}
        for graph in graphs_of(inferred):
            for value in (*graph.input, *graph.value_info, *graph.output):
                if value.type.tensor_type.HasField("shape"):
                    sides = [max(side.dim_value, 0) for side in value.type.tensor_type.shape.dim]
                    # Of two branches, each may have a value of that name.
                    shapes[value.name] = max(shapes.get(value.name, sides), sides, key=math.prod)
        if not _compute(outline, shapes):
            return shapes


def _outline(model: Any, sides: Sequence[int]) -> Any:
    """Return a model without what it says of shapes, whose large tensors are inputs: of them only the shape matters."""
    outline = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph, given = outline.graph, {tensor.name for tensor in model.graph.initializer}
    graph.name = "outline"
    graph.node.extend(model.graph.node)
    graph.sparse_initializer.extend(model.graph.sparse_initializer)
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= MOST_NUMBERS:
            graph.initializer.append(tensor)
        else:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    for value in model.graph.input:
        if value.name not in given:
            kind = value.type.tensor_type.elem_type
            graph.input.append(onnx.helper.make_tensor_value_info(value.name, kind, sides))
    graph.output.extend(onnx.ValueInfoProto(name=value.name) for value in model.graph.output)
    return outline


def _lend(graph: Any) -> None:
    """Give the graphs in nodes the values around them that they read: ONNX infers nothing from those."""
    known = {tensor.name: tensor for tensor in graph.initializer}
    for branch in (branch for node in graph.node for branch in graphs_in(node)):
        reads = {name for node in branch.node for name in node.input} - {one.name for one in branch.initializer}
        branch.initializer.extend(known[name] for name in sorted(reads & known.keys()))


def _compute(outline: Any, shapes: dict[str, list[int]]) -> bool:
    """Replace nodes by the values that they have whatever the images are; return whether there were any."""
    graph = outline.graph
    known = {tensor.name: tensor for tensor in graph.initializer}
    left = []
    for node in graph.node:
        computed = _values(node, known, shapes, outline.opset_import)
        known.update({tensor.name: tensor for tensor in computed})
        graph.initializer.extend(computed)
        if not computed:
            left.append(node)
    found = len(left) < len(graph.node)
    del graph.node[:]
    graph.node.extend(left)
    return found


def _values(node: Any, known: dict[str, Any], shapes: dict[str, list[int]], opsets: Any) -> list[Any]:
    """Return the outputs of a node as tensors; none if they depend on the images, or are large."""
    if node.op_type == "Shape":
        return _sides(node, shapes.get(node.input[0], []))
    inputs, outputs = dict.fromkeys(filter(None, node.input)), list(filter(None, node.output))
    # A graph in a node may be a loop without an end.
    if not all(name in known for name in inputs) or graphs_in(node):
        return []
    if not all(0 < math.prod(shapes.get(name, [0])) <= MOST_NUMBERS for name in outputs):
        return []
    infos = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = onnx.helper.make_graph([node], "one", [], infos, [known[name] for name in inputs])
    try:
        run = onnx.reference.ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=opsets))
        found = zip(run.run(None, {}), outputs, strict=True)
        return [onnx.numpy_helper.from_array(value, name) for value, name in found]
    except Exception:
        # The reference fails in nearly any way; what it cannot compute stays unknown.
        return []


def _sides(node: Any, shape: list[int]) -> list[Any]:
    """Return the output of a node that asks for a shape; none if a side of it is not known."""
    if not shape or not all(shape):
        return []
    ends = {attribute.name: attribute.i for attribute in node.attribute}
    asked = shape[ends.get("start") : ends.get("end")]
    return [onnx.helper.make_tensor(node.output[0], onnx.TensorProto.INT64, [len(asked)], asked)]
