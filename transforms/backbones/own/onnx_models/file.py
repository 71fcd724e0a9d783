"""An ONNX file, which is data: read and checked before an engine sees it."""

import math
import os
from typing import Any

from transforms.backbones.backbone import Backbone
from transforms.backbones.own.header import Header
from transforms.backbones.own.onnx_models.walks import graphs_in, nodes_of, sparse_tensors_of, tensors_of
from transforms.backbones.weights.containers import MAX_INFLATION
from transforms.core.errors import UsageError, one_line
from transforms.core.printable import printable
from transforms.storage.hashing import check_regular, size_of_files

try:
    import onnx
    import onnx.inliner
    import onnx.reference
except ImportError as e:
    raise UsageError("a --model of ONNX needs onnx; pip install onnx") from e

__all__ = [
    "input_shape",
    "is_channels_first",
    "onnx",
    "opset_of",
    "path_in",
    "read_header",
    "read_model",
]

STANDARD = ("", "ai.onnx")
"""Names of the domain of ONNX's own operators."""
_REPEAT = {"Loop", "Scan"}
"""Operators that compute a graph as often as they are told to, or for ever."""
OLDEST_OPSET = 8
"""The first version of the operators in which all that the preprocessing needs takes arrays of different shapes."""


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
        sum(math.prod(tensor.dims) for tensor in tensors_of(model) if tensor.data_type),
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
    if tensor.elem_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16):
        kinds = {kind: name for name, kind in onnx.TensorProto.DataType.items()}
        kind = kinds.get(tensor.elem_type, "no kind of")
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
      UsageError: the file is none, has operators that are too old, too new or not ONNX's, has tensors that it cannot
        hold, or leads outside its folder.
    """
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
    for tensor in tensors_of(model):
        for entry in tensor.external_data:
            if entry.key == "location":
                _check_data(entry.value, local, backbone)
    _check_dims(model, size_of_files(local), backbone)
    return model


def opset_of(model: Any) -> int:
    """Return the version of ONNX's own operators that a model is made of."""
    return max((one.version for one in model.opset_import if one.domain in STANDARD), default=1)


def _check_operators(model: Any, backbone: Backbone) -> None:
    """Refuse operators that are not ONNX's own of today, and graphs of which nothing says how long they take."""
    opset, newest = opset_of(model), onnx.defs.onnx_opset_version()
    if opset < OLDEST_OPSET:
        again = f"export it again, with opset {OLDEST_OPSET} or later"
        raise UsageError(f"{backbone.given_as} is of opset {opset}; {again}")
    if opset > newest:
        raise UsageError(
            f"{backbone.given_as} is of opset {opset}; onnx {onnx.__version__}, installed here, ends at {newest}"
        )
    own = {(function.domain, function.name) for function in model.functions}
    for node in nodes_of(model):
        # Of a file that was changed, a name may be bytes.
        is_known = node.domain in STANDARD and onnx.defs.has(str(node.op_type))
        if not is_known and (node.domain, node.op_type) not in own:
            operator = printable(f"{node.domain}.{node.op_type}".removeprefix("."))
            raise UsageError(
                f"{backbone.given_as} has the operator {operator}, which is not one of ONNX's own, as of onnx "
                f"{onnx.__version__}"
            )
        nested = any(graphs_in(inner) for graph in graphs_in(node) for inner in graph.node)
        if node.op_type in _REPEAT or nested:
            raise UsageError(f"{backbone.given_as} has the operator {node.op_type}, which may take for ever")


def _check_dims(model: Any, num_bytes: int, backbone: Backbone) -> None:
    """Refuse tensors that a file of so many bytes cannot hold."""
    values = 0
    for tensor in (*tensors_of(model), *sparse_tensors_of(model)):
        values += math.prod(tensor.dims)
        if values > MAX_INFLATION * num_bytes or min(tensor.dims, default=0) < 0:
            raise UsageError(f"{backbone.given_as} has a tensor of {list(tensor.dims)} values, and {num_bytes} bytes")


def _check_data(name: str, local: str, backbone: Backbone) -> None:
    """Refuse a file with a model's data that is not in the model's folder, or cannot be read to an end."""
    if not os.path.isdir(local):
        again = "give a folder that holds both and no other model, or export one file (PyTorch: external_data=False)"
        raise UsageError(f"{backbone.given_as} keeps its data beside it, in {name!r}; {again}")
    folder = os.path.realpath(local)
    file = os.path.realpath(os.path.join(folder, name))
    if os.path.isabs(name) or os.path.commonpath([folder, file]) != folder:
        raise UsageError(f"{backbone.given_as} has data in {name!r}, which is outside its folder")
    if not os.path.exists(file):
        raise UsageError(f"{backbone.given_as} has data in {name!r}, which is not in its folder")
    check_regular(file)
