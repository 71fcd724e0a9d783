"""An ONNX model as a graph of OpenVINO's, with its preprocessing and one pooled output; TensorFlow is not needed."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from transforms.backbones.backbone import Backbone, WeightsFacts
from transforms.backbones.engines.openvino import GRAPH, openvino
from transforms.backbones.graph.held import Step, check_held, num_bytes
from transforms.backbones.graph.source import check_pooling, width_of
from transforms.backbones.own.onnx_file import input_shape, is_channels_first, path_in, read_model
from transforms.backbones.preprocessing import parse
from transforms.backbones.weights.files import own_file
from transforms.core.errors import UsageError, did_you_mean, one_line
from transforms.storage.hashing import sha256_of_files

ops = openvino.opset13

CLASSIFIERS = {"logits", "predictions", "probabilities", "probs"}
"""Names that exporters give to an output of classes."""
_SCORES = {"LogSoftmax", "Sigmoid", "Softmax"}
_BETWEEN = {"Add", "Convert", "Reshape", "Squeeze", "Unsqueeze"}
"""Operations that may stand between the product of a classifier and its scores."""


@dataclasses.dataclass(frozen=True)
class OnnxGraph:
    """A backbone as a model of OpenVINO's: uint8 [B, H, W, 3] RGB -> float32 [B, D].

    Attributes:
      model: openvino.Model.
      facts: facts of the backbone's weights.
    """

    model: Any
    facts: WeightsFacts

    def save(self, folder: str) -> None:
        """Write it in OpenVINO's format; raise OSError if that fails."""
        os.makedirs(folder, exist_ok=True)
        try:
            openvino.save_model(self.model, os.path.join(folder, GRAPH), compress_to_fp16=False)
        except RuntimeError as e:
            raise OSError(one_line(e)) from e


class Output(NamedTuple):
    """The output that is the embedding.

    Attributes:
      value: openvino.Output.
      layer: its name; '' for the model's own output.
      why: what was left off, in words; '' if nothing.
    """

    value: Any
    layer: str = ""
    why: str = ""


def build_onnx_graph(backbone: Backbone, tell: Callable[[WeightsFacts], None] = lambda facts: None) -> OnnxGraph:
    """Build the graph of an ONNX model, and report the facts of its weights.

    Args:
      backbone: the backbone to build.
      tell: function that gets the facts.

    Raises:
      UsageError: OpenVINO cannot read the model, or it does not give one vector an image.
    """
    with own_file(backbone) as local:
        shape = input_shape(read_model(local, backbone), backbone)
        channels_first = is_channels_first(shape)
        weights_sha256 = sha256_of_files(local)
        try:
            model = openvino.Core().read_model(path_in(local))
        except RuntimeError as e:
            raise UsageError(f"OpenVINO cannot read {backbone.given_as}: {_reason(e)}") from e
        if len(model.inputs) != 1:
            raise UsageError(f"{backbone.given_as} has tensors without values")
        _check_values(model, backbone)
        found = _output(model, backbone)
        # Operations of ONNX have maps with their channels first; an exporter turns the images, and so its own output.
        embedding = _pooled(found.value, channels_first or bool(found.layer), backbone)
        if backbone.normalize:
            embedding = _normalized(embedding)
        whole = _of_pixels(model, embedding, channels_first, backbone)
    facts = WeightsFacts(_width(whole, shape[0], backbone), weights_sha256, found.layer, found.why)
    tell(facts)
    check_held(_steps(_of_one_image(whole)), backbone)
    return OnnxGraph(whole, facts)


def _output(model: Any, backbone: Backbone) -> Output:
    """Return the output that is asked for, or else the model's own up to what classifies."""
    if backbone.layer:
        values = {name: value for op in model.get_ops() for value in op.outputs() for name in value.get_names()}
        if backbone.layer not in values:
            own = [name for output in model.outputs for name in output.get_names()]
            hint = did_you_mean(backbone.layer, values) or f"; its outputs are {', '.join(own)}"
            raise UsageError(f"{backbone.given_as} has no {backbone.layer!r}{hint}")
        return Output(values[backbone.layer], backbone.layer)
    if len(model.outputs) != 1:
        own = [min(output.get_names()) for output in model.outputs]
        raise UsageError(f"{backbone.given_as} has the outputs {', '.join(own)}; choose one with --layer")
    value = model.outputs[0].get_node().input_value(0)
    names = set(model.outputs[0].get_names())
    left_off = []
    if _kind(value) in _SCORES:
        left_off.append(_kind(value).lower())
        value = value.get_node().input_value(0)
    product = _product(value) if left_off or names & CLASSIFIERS else None
    if product is not None:
        left_off.append(f"the classifier {product.get_friendly_name()}")
        value = product.input_value(0)
    if not left_off:
        return Output(value)
    layer = min(value.get_names(), default=value.get_node().get_friendly_name())
    return Output(value, layer, " and ".join(reversed(left_off)))


def _product(value: Any) -> Any:
    """Return the matrix product by constants of which a value is made; None if it is made otherwise."""
    while _kind(value) in _BETWEEN:
        value = value.get_node().input_value(0)
    return value.get_node() if _kind(value) == "MatMul" else None


def _kind(value: Any) -> str:
    name: str = value.get_node().get_type_name()
    return name


def _pooled(value: Any, channels_first: bool, backbone: Backbone) -> Any:
    """Return one vector an image of an output: [B, D, h, w] or [B, h, w, D], [B, T, D], [B, D] -> [B, D]."""
    shape, pooling = value.get_partial_shape(), backbone.pooling
    rank = shape.rank.get_length() if shape.rank.is_static else 0
    if pooling == "flatten" or rank not in (3, 4):
        return value if rank == 2 else ops.reshape(value, np.array([0, -1], np.int64), special_zero=True).output(0)
    check_pooling(rank, backbone)
    if pooling == "cls":
        return ops.gather(value, np.int64(0), np.int64(1)).output(0)
    axes = [1] if rank == 3 else [2, 3] if channels_first else [1, 2]
    reduce = ops.reduce_mean if pooling == "avg" else ops.reduce_max
    return reduce(value, np.array(axes, np.int64), keep_dims=False).output(0)


def _normalized(value: Any) -> Any:
    """Scale to unit length, dividing by the largest value first, as the graphs of TensorFlow do."""
    last = np.array([-1], np.int64)
    scaled = _divided(value, ops.reduce_max(ops.abs(value), last, keep_dims=True))
    return _divided(scaled, ops.reduce_l2(scaled, last, keep_dims=True)).output(0)


def _divided(value: Any, by: Any) -> Any:
    return ops.divide(value, ops.select(ops.equal(by, np.float32(0)), np.float32(1), by))


def _of_pixels(model: Any, embedding: Any, channels_first: bool, backbone: Backbone) -> Any:
    """Return the model from pixels to the embedding: uint8 [B, H, W, 3] -> float32 [B, D]."""
    (parameter,) = model.get_parameters()
    height, width = backbone.size
    sides = [-1, 3, height, width] if channels_first else [-1, height, width, 3]
    # A batch that was fixed when it was exported is made free, so that its constants show below whether it can be.
    try:
        model.reshape(sides)
    except RuntimeError as e:
        raise UsageError(f"{backbone.given_as} cannot take images of {height} x {width} px: {_reason(e)}") from e
    way = parse(backbone.preprocess)
    pixels = ops.parameter([-1, height, width, 3], np.uint8, "pixels")
    x = ops.convert(pixels, "f32")
    if way.bgr:
        x = ops.gather(x, np.array([2, 1, 0], np.int64), np.int64(3))
    x = ops.divide(x, np.float32(way.scale))
    x = ops.divide(ops.subtract(x, np.array(way.mean, np.float32)), np.array(way.std, np.float32))
    if channels_first:
        x = ops.transpose(x, np.array([0, 3, 1, 2], np.int64))
    if parameter.get_element_type() != openvino.Type.f32:
        x = ops.convert(x, parameter.get_element_type().get_type_name())
    for reader in parameter.output(0).get_target_inputs():
        reader.replace_source_output(x.output(0))
    return openvino.Model([ops.result(ops.convert(embedding, "f32"))], [pixels], "embed")


def _width(model: Any, batch: int, backbone: Backbone) -> int:
    """Return D; raise UsageError unless two images give [2, D], which a batch fixed in the graph may prevent."""
    tried = model.clone()
    sides = [2, *(side.get_length() for side in list(model.input(0).get_partial_shape())[1:])]
    hint = f"; it was exported for batches of {batch}: export it with a dynamic batch" if batch else ""
    try:
        tried.reshape(sides)
        shape = tried.output(0).get_partial_shape()
    except RuntimeError as e:
        raise UsageError(f"{backbone.given_as} cannot take two images at once: {_reason(e)}{hint}") from e
    found = [side.get_length() if side.is_static else 0 for side in shape] if shape.rank.is_static else []
    if found[:1] != [2]:
        raise UsageError(f"{backbone.given_as} gives {found} for two images{hint or '; choose another output'}")
    return width_of(found, backbone)


def _steps(model: Any) -> Iterator[Step]:
    """Yield the operations of a model, and of the two branches of a choice."""
    for op in model.get_ordered_ops():
        if op.get_type_name() == "If":
            yield from (*_steps(op.get_then_body()), *_steps(op.get_else_body()))
        reads = [value.get_node().get_name() for value in op.input_values()]
        yield Step(op.get_friendly_name(), reads, {op.get_name(): sum(map(_num_bytes, op.outputs()))})


def _num_bytes(value: Any) -> int:
    shape = value.get_partial_shape()
    if shape.rank.is_dynamic:
        return 0
    return num_bytes((side.get_length() if side.is_static else None for side in shape), value.get_element_type().size)


def _of_one_image(model: Any) -> Any:
    found = model.clone()
    _, *sides = model.input(0).get_partial_shape()
    found.reshape([1, *sides])
    return found


def _check_values(model: Any, backbone: Backbone) -> None:
    """Refuse weights that are NaN; infinite constants are masks."""
    for name, values in _constants(model):
        if np.isnan(values).any():
            raise UsageError(f"{backbone.given_as} cannot be used: {name} has values that are NaN")


def _constants(model: Any) -> Iterator[tuple[str, np.ndarray]]:
    for op in model.get_ops():
        if op.get_type_name() == "Constant" and op.get_element_type() in (openvino.Type.f32, openvino.Type.f16):
            yield op.get_friendly_name(), op.data


def _reason(error: Exception) -> str:
    """Return the last line of OpenVINO's that says something: those before it say where in its code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return one_line(ValueError(lines[-1] if lines else str(error)))
