"""An ONNX file, which is data: read and checked before an engine sees it."""

import math
import os
from collections.abc import Iterator
from typing import Any

from transforms.backbones.backbone import Backbone
from transforms.backbones.graph.held import memory_of_this_machine, num_bytes
from transforms.backbones.own.header import Header
from transforms.backbones.weights.containers import MAX_INFLATION
from transforms.core.errors import UsageError, one_line
from transforms.storage.hashing import check_regular, size_of_files

STANDARD = ("", "ai.onnx")
"""Names of the domain of ONNX's own operators."""
_LONGEST_SHAPE = 8192
"""Size of the longest constant that a shape may be computed of, in bytes."""
_REPEAT = {"Loop", "Scan"}
"""Operators that compute a graph as often as they are told to, or for ever."""


def read_header(local: str, backbone: Backbone) -> Header:
    """Read what an ONNX file says of its model: local path of the file, or of its folder -> Header.

    Raises:
      UsageError: the file is none, has operators that are not ONNX's, leads outside its folder, or takes no images.
    """
    model = read_model(local, backbone)
    shape = input_shape(model, backbone)
    height, width = shape[2:] if is_channels_first(shape) else shape[1:3]
    return Header(
        (height, width) if height and width else None,
        "",
        sum(math.prod(tensor.dims) for tensor in _tensors(model) if tensor.data_type),
    )


def path_in(local: str) -> str:
    """Return the path of the ONNX file: `local` itself, or the only one in that folder."""
    if not os.path.isdir(local):
        return local
    (name,) = [name for name in os.listdir(local) if name.endswith(".onnx")]
    return os.path.join(local, name)


def input_shape(model: Any, backbone: Backbone) -> list[int]:
    """Return the shape of a model's only input, 0 where a side is dynamic.

    Raises:
      UsageError: it has several inputs, or takes no images.
    """
    given = {tensor.name for tensor in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in given]
    if len(inputs) != 1:
        raise UsageError(f"{backbone.given_as} takes {len(inputs)} inputs; a backbone takes one, an image")
    tensor = inputs[0].type.tensor_type
    import onnx

    if tensor.elem_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16):
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
        raise UsageError(f"{backbone.given_as} takes {kind} numbers, not floats; export it without its own conversion")
    shape = [max(side.dim_value, 0) for side in tensor.shape.dim]
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        shown = ", ".join(str(side) if side else "?" for side in shape)
        raise UsageError(f"{backbone.given_as} takes ({shown}), not RGB images, (?, 3, ?, ?) or (?, ?, ?, 3)")
    return shape


def is_channels_first(shape: list[int]) -> bool:
    """Whether an input of a shape has its channels before its height and width."""
    return shape[1] == 3


def read_model(local: str, backbone: Backbone) -> Any:
    """Return the model of an ONNX file, an onnx.ModelProto, without the data that it keeps beside it.

    Raises:
      UsageError: the file is none, has operators that are not ONNX's, or leads outside its folder.
    """
    try:
        import onnx
    except ImportError as e:
        raise UsageError(f"{backbone.given_as} needs onnx; pip install onnx") from e
    try:
        model = onnx.load_model(path_in(local), load_external_data=False)
        if not (model.graph.node and model.graph.output and model.opset_import):
            raise ValueError("no whole graph in it")
    except OSError:
        raise
    except Exception as e:
        # What is no ONNX is told by protobuf, in exceptions of its own.
        raise UsageError(f"{backbone.given_as} is not an ONNX file: {one_line(e)}") from e
    _check_operators(model, backbone)
    for tensor in _tensors(model):
        for entry in tensor.external_data:
            if entry.key == "location":
                _check_data(entry.value, local, backbone)
    _check_sizes(model, local, backbone)
    return model


def _check_operators(model: Any, backbone: Backbone) -> None:
    """Refuse operators that are not ONNX's own, and graphs of which nothing says how long they take."""
    import onnx

    if model.functions:
        inline = "onnx.inliner.inline_local_functions"
        raise UsageError(f"{backbone.given_as} has functions of its own; put them in their places, with {inline}")
    newest = onnx.defs.onnx_opset_version()
    for opset in model.opset_import:
        if opset.domain in STANDARD and opset.version > newest:
            raise UsageError(f"{backbone.given_as} is of opset {opset.version}, and the onnx here knows {newest}")
    for graph in _graphs(model):
        for node in graph.node:
            if node.domain not in STANDARD:
                operator = f"{node.domain}.{node.op_type}"
                raise UsageError(f"{backbone.given_as} has the operator {operator}, which is not one of ONNX's own")
            nested = any(_graphs_in(inner) for one in _graphs_in(node) for inner in one.node)
            if node.op_type in _REPEAT or nested:
                raise UsageError(f"{backbone.given_as} has the operator {node.op_type}, which may take for ever")


def _check_sizes(model: Any, local: str, backbone: Backbone) -> None:
    """Refuse tensors that the files cannot hold, and values that no memory can: some are made as a file is read."""
    import onnx

    has, values = size_of_files(local) if os.path.isdir(local) else os.path.getsize(local), 0
    for tensor in (*_tensors(model), *_sparse(model)):
        values += math.prod(tensor.dims)
        if values > MAX_INFLATION * has or min(tensor.dims, default=0) < 0:
            raise UsageError(f"{backbone.given_as} has a tensor of {list(tensor.dims)} values, and {has} bytes")
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for tensor in _tensors(bare):
        if len(tensor.raw_data) > _LONGEST_SHAPE:
            tensor.ClearField("raw_data")
    try:
        # Without the values of shapes that are computed, since these may be endless themselves.
        inferred = onnx.shape_inference.infer_shapes(bare)
    except Exception as e:
        raise UsageError(f"{backbone.given_as} has shapes that contradict each other: {one_line(e)}") from e
    memory = memory_of_this_machine() or math.inf
    for value in (value for graph in _graphs(inferred) for value in graph.value_info):
        kind = value.type.tensor_type
        size = num_bytes((side.dim_value or None for side in kind.shape.dim), _item(kind.elem_type))
        if size > memory:
            raise UsageError(
                f"{backbone.given_as} makes a {value.name} of {size / 1e9:,.1f} GB; this machine has "
                f"{memory / 1e9:.1f} GB"
            )


def _item(kind: int) -> int:
    """Return the size of a number of ONNX's, in bytes; 1 for what is no number."""
    from onnx.helper import get_all_tensor_dtypes, tensor_dtype_to_np_dtype

    return tensor_dtype_to_np_dtype(kind).itemsize if kind in get_all_tensor_dtypes() else 1


def _check_data(name: str, local: str, backbone: Backbone) -> None:
    """Refuse a file with a model's data that is not in the model's folder, or cannot be read to an end."""
    if not os.path.isdir(local):
        raise UsageError(f"{backbone.given_as} keeps its data beside it, in {name!r}; give the folder that holds both")
    folder = os.path.realpath(local)
    file = os.path.realpath(os.path.join(folder, name))
    if os.path.isabs(name) or os.path.commonpath([folder, file]) != folder:
        raise UsageError(f"{backbone.given_as} has data in {name!r}, which is outside its folder")
    if not os.path.exists(file):
        raise UsageError(f"{backbone.given_as} has data in {name!r}, which is not in its folder")
    check_regular(file)


def _graphs(model: Any) -> Iterator[Any]:
    """Yield the graph of a model, and the graphs in its nodes."""
    waiting = [model.graph]
    while waiting:
        graph = waiting.pop()
        yield graph
        waiting += [inner for node in graph.node for inner in _graphs_in(node)]


def _graphs_in(node: Any) -> list[Any]:
    return [graph for one in node.attribute for graph in (*([one.g] if one.HasField("g") else []), *one.graphs)]


def _attributes(model: Any) -> Iterator[Any]:
    return (attribute for graph in _graphs(model) for node in graph.node for attribute in node.attribute)


def _tensors(model: Any) -> Iterator[Any]:
    """Yield all tensors of a model, wherever they are."""
    for graph in _graphs(model):
        yield from graph.initializer
    for attribute in _attributes(model):
        yield from (attribute.t, *attribute.tensors)
    for sparse in _sparse(model):
        yield from (sparse.values, sparse.indices)


def _sparse(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from graph.sparse_initializer
    for attribute in _attributes(model):
        yield from (attribute.sparse_tensor, *attribute.sparse_tensors)
