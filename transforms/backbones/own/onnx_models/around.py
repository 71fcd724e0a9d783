"""What stands around an ONNX model: nodes that make its input from pixels, and one vector an image of its output.

They are of operators that every opset has since `file.OLDEST_OPSET`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from transforms.backbones.backbone import Backbone
from transforms.backbones.graph.source import check_pooling
from transforms.backbones.own.onnx_models.file import onnx, opset_of
from transforms.backbones.preprocessing import parse

AXES_ARE_INPUTS = 18
"""The opset from which reductions take their axes as an input; before, these are an attribute."""
SMALLEST = np.float32(2.0**-126)
"""The smallest number of float32 that no device takes for zero: what a vector of zeros is divided by."""


class Nodes:
    """New nodes for a model, in a list; a call adds one and returns the name of its output.

    Args:
      model: the model, which gets the arrays among their inputs.
      prefix: what the new names begin with, prolonged if the model has such names.
    """

    def __init__(self, model: Any, prefix: str):
        taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
        while any(name.startswith(prefix) for name in taken):
            prefix += "_"
        self._prefix, self._tensors, self._opset = prefix, model.graph.initializer, opset_of(model)
        self.list: list[Any] = []

    def __call__(self, kind: str, *inputs: "str | np.ndarray | np.generic", **attributes: Any) -> str:
        names = [one if isinstance(one, str) else self._tensor(one) for one in inputs]
        output = self.name(str(len(self.list)))
        self.list.append(onnx.helper.make_node(kind, names, [output], **attributes))
        return output

    def name(self, name: str) -> str:
        """Return a name that the model does not have."""
        return f"{self._prefix}.{name}"

    def reduced(self, kind: str, value: str, axes: Sequence[int], *, keepdims: bool) -> str:
        """Add a reduction over some axes."""
        if self._opset < AXES_ARE_INPUTS:
            return self(kind, value, axes=axes, keepdims=int(keepdims))
        return self(kind, value, np.array(axes, np.int64), keepdims=int(keepdims))

    def _tensor(self, values: "np.ndarray | np.generic") -> str:
        name = self.name(f"tensor.{len(self._tensors)}")
        self._tensors.append(onnx.numpy_helper.from_array(np.asarray(values), name))
        return name


def surround(part: Any, rank: int, images_first: bool, maps_first: bool, backbone: Backbone) -> None:
    """Let a model take pixels and give vectors: uint8 [B, H, W, 3] RGB -> float32 [B, D].

    Args:
      part: an onnx.ModelProto, from one image to one output.
      rank: rank of the output.
      images_first: whether the image has its channels before its height and width.
      maps_first: whether an output that is a feature map has.
      backbone: the backbone, whose preprocessing, pooling and scaling are taken.

    Raises:
      UsageError: the output is a map, of which the first token is asked for.
    """
    graph, before, after = part.graph, Nodes(part, "before"), Nodes(part, "after")
    (image,), (output,) = graph.input, graph.output
    made = _from_pixels(before, images_first, backbone)
    before.list.append(onnx.helper.make_node("Identity", [made], [image.name]))
    vectors = _pooled(after, after("Cast", output.name, to=onnx.TensorProto.FLOAT), rank, maps_first, backbone)
    if backbone.normalize:
        vectors = _normalized(after, vectors)
    whole = [*before.list, *graph.node, *after.list]
    del graph.node[:]
    graph.node.extend(whole)
    pixels = before.name("pixels")
    image.CopyFrom(onnx.helper.make_tensor_value_info(pixels, onnx.TensorProto.UINT8, ["B", *backbone.size, 3]))
    output.CopyFrom(onnx.helper.make_tensor_value_info(vectors, onnx.TensorProto.FLOAT, ["B", "D"]))


def _from_pixels(add: Nodes, images_first: bool, backbone: Backbone) -> str:
    way = parse(backbone.preprocess)
    x = add("Cast", add.name("pixels"), to=onnx.TensorProto.FLOAT)
    if way.bgr:
        x = add("Gather", x, np.array([2, 1, 0], np.int64), axis=3)
    x = add("Sub", add("Div", x, np.float32(way.scale)), np.array(way.mean, np.float32))
    x = add("Div", x, np.array(way.std, np.float32))
    return add("Transpose", x, perm=[0, 3, 1, 2]) if images_first else x


def _pooled(add: Nodes, value: str, rank: int, maps_first: bool, backbone: Backbone) -> str:
    """Return one vector an image of an output: [B, D, h, w] or [B, h, w, D], [B, T, D], [B, D] -> [B, D]."""
    if backbone.pooling == "flatten" or rank not in (3, 4):
        return add("Flatten", value, axis=1)
    check_pooling(rank, backbone)
    if backbone.pooling == "cls":
        return add("Gather", value, np.array(0, np.int64), axis=1)
    axes = [1] if rank == 3 else [2, 3] if maps_first else [1, 2]
    kind = "ReduceMean" if backbone.pooling == "avg" else "ReduceMax"
    return add.reduced(kind, value, axes, keepdims=False)


def _normalized(add: Nodes, value: str) -> str:
    """Scale to unit length, dividing by the largest value first, as the graphs of TensorFlow do."""
    largest = add.reduced("ReduceMax", add("Abs", value), [1], keepdims=True)
    scaled = add("Div", value, add("Max", largest, SMALLEST))
    length = add.reduced("ReduceL2", scaled, [1], keepdims=True)
    return add("Div", scaled, add("Max", length, SMALLEST))
