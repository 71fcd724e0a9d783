"""The data of an ONNX model: read into it, looked at, and made float32."""

import functools
import os
from typing import Any

import numpy as np

from transforms.backbones.backbone import Backbone
from transforms.backbones.own.onnx_models.file import onnx, opset_of, path_in, read_model
from transforms.backbones.own.onnx_models.walks import attributes_of, constants_of, graphs_of, nodes_below, tensors_of
from transforms.core.errors import UsageError, one_line

MOST_NODES = 1_000_000
"""Maximum nodes of a model: the largest have some ten thousand."""
_REDUCED = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)


def read_whole(local: str, backbone: Backbone) -> Any:
    """Return the model of an ONNX file with all of its data, in one graph and in float32: local path -> ModelProto.

    A model of a reduced precision would be computed in that by some engines, and not by others.

    Raises:
      UsageError: as `read_model`; or its data cannot be read, or has values that are NaN. Infinite ones are masks.
    """
    model = read_model(local, backbone)
    try:
        if model.functions:
            if _num_nodes(model) > MOST_NODES:
                raise UsageError(f"{backbone.given_as} has functions in functions, of more nodes than any model has")
            model = onnx.inliner.inline_local_functions(model)
        _check_nodes(model)
        onnx.load_external_data_for_model(model, os.path.dirname(path_in(local)))
        _hoist_constants(model.graph)
        for tensor in tensors_of(model):
            _check(tensor, backbone)
    except UsageError:
        raise
    except Exception as e:
        # What contradicts itself is told in nearly any exception, of protobuf, of NumPy and of ONNX.
        raise UsageError(f"{backbone.given_as} is not whole: {one_line(e)}") from e
    _widen_types(model)
    return model


def _num_nodes(model: Any) -> int:
    """Return how many nodes a model has once its functions are taken apart."""
    functions = {(function.domain, function.name): function for function in model.functions}

    def count(node: Any) -> int:
        key = (node.domain, node.op_type)
        return within(key) if key in functions else 1

    @functools.cache
    def within(key: tuple[str, str]) -> int:
        return sum(map(count, nodes_below(functions[key].node)))

    return sum(map(count, nodes_below(model.graph.node)))


def _check_nodes(model: Any) -> None:
    """Raise ValueError unless each node has its inputs, from nodes before it, and names that can be told."""
    graph, opset = model.graph, opset_of(model)
    for node in nodes_below(graph.node):
        schema = onnx.defs.get_schema(node.op_type, opset)
        if len(node.input) < schema.min_input or len(node.output) < max(schema.min_output, 1):
            raise ValueError(f"{node.op_type} of {len(node.input)} inputs and {len(node.output)} outputs")
    made = constants_of(graph) | {one.name for one in graph.input}
    for node in graph.node:
        outputs = set(filter(None, node.output))
        if not made.issuperset(node.input) or not made.isdisjoint(outputs):
            raise ValueError(f"{node.op_type} takes what is made later, or makes what is made before")
        made |= outputs
    for name in (*made, *(one.name for one in graph.output)):
        if not isinstance(name, str) or not name.isprintable():
            raise ValueError(f"a name that cannot be printed, {name!r}")


def _hoist_constants(graph: Any) -> None:
    """Make initializers of the constants that are nodes, as older exporters have all weights."""
    left = []
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensor = graph.initializer.add()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
        else:
            left.append(node)
    if len(left) < len(graph.node):
        del graph.node[:]
        graph.node.extend(left)


def _check(tensor: Any, backbone: Backbone) -> None:
    """Refuse a tensor of NaN; make one of a reduced precision float32."""
    if tensor.data_type not in (onnx.TensorProto.FLOAT, *_REDUCED):
        return
    values = onnx.numpy_helper.to_array(tensor)
    if np.isnan(values).any():
        raise UsageError(f"{backbone.given_as} cannot be used: {tensor.name} has values that are NaN")
    if tensor.data_type in _REDUCED:
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), tensor.name))


def _widen_types(model: Any) -> None:
    """Let a model say float32 wherever it names a reduced precision."""
    for attribute in attributes_of(model):
        if attribute.name in ("to", "dtype") and attribute.i in _REDUCED:
            attribute.i = onnx.TensorProto.FLOAT
    for graph in graphs_of(model):
        for value in (*graph.input, *graph.output, *graph.value_info):
            if value.type.tensor_type.elem_type in _REDUCED:
                value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
