"""Which value of an ONNX graph is the embedding, and what of the graph makes it."""

from typing import Any, NamedTuple

from transforms.backbones.backbone import Backbone
from transforms.backbones.own.onnx_models.file import onnx
from transforms.backbones.own.onnx_models.walks import constants_of, nodes_below
from transforms.core.errors import UsageError, did_you_mean

CLASSIFIERS = {"logits", "predictions", "probabilities", "probs"}
"""Names that exporters give to an output of classes."""
_SCORES = {"LogSoftmax", "Sigmoid", "Softmax"}
_PRODUCTS = {"Gemm", "MatMul"}
_NOTHING = {"Dropout", "Identity"}
"""Operations that do nothing once a model is trained."""
_BETWEEN = {"Add", "Cast", "Flatten", "Reshape", "Squeeze", "Unsqueeze", *_NOTHING}
"""Operations that may stand between the product of a classifier and its scores."""
FIRST_WITHOUT_INPUTS = 4
"""The first version of the format in which initializers need not be inputs as well."""


class Output(NamedTuple):
    """The output that is the embedding.

    Attributes:
      value: its name in the graph.
      layer: the same, unless it is the model's own output; else ''.
      why: what was left off, in words; '' if nothing.
    """

    value: str
    layer: str = ""
    why: str = ""


def output_of(graph: Any, backbone: Backbone) -> Output:
    """Return the output that is asked for, or else a graph's own up to what classifies.

    Raises:
      UsageError: there is no such value, or the graph has several outputs and none is asked for.
    """
    makers = {name: node for node in graph.node for name in node.output}
    own = [output.name for output in graph.output]
    if backbone.layer:
        if backbone.layer not in makers:
            hint = did_you_mean(backbone.layer, makers) or f"; its outputs are {', '.join(own)}"
            raise UsageError(f"{backbone.given_as} has no {backbone.layer!r}{hint}")
        return Output(backbone.layer, backbone.layer)
    if len(own) != 1:
        raise UsageError(f"{backbone.given_as} has the outputs {', '.join(own)}; choose one with --layer")
    constants = _constants(graph)

    def back(value: str, passed: set[str]) -> str:
        """Return what a value was made of, on the way over nodes of some kinds."""
        while value in makers and makers[value].op_type in passed:
            value = next((name for name in makers[value].input if name not in constants), "")
        return value

    value, left_off = back(own[0], _NOTHING), []
    if value in makers and makers[value].op_type in _SCORES:
        left_off.append(makers[value].op_type.lower())
        value = makers[value].input[0]
    product = makers.get(back(value, _BETWEEN)) if left_off or own[0] in CLASSIFIERS else None
    if product is not None and product.op_type in _PRODUCTS and product.input[1] in constants:
        left_off.append(f"the classifier {product.output[0]}")
        value = product.input[0]
    if not left_off:
        return Output(own[0])
    value = back(value, _NOTHING)
    return Output(value, value, " and ".join(reversed(left_off)))


def part_up_to(value: str, model: Any) -> Any:
    """Return the part of a model that makes a value, which is its only output: ModelProto -> ModelProto."""
    needed, kept = {value}, []
    for node in reversed(model.graph.node):
        if not needed.isdisjoint(node.output):
            kept.append(node)
            # Graphs in a node take values of the graph around it.
            needed.update(name for inner in nodes_below([node]) for name in inner.input)
    version = max(model.ir_version, FIRST_WITHOUT_INPUTS)
    part = onnx.ModelProto(ir_version=version, opset_import=model.opset_import)
    part.graph.name = "embed"
    part.graph.node.extend(reversed(kept))
    part.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in needed)
    part.graph.sparse_initializer.extend(one for one in model.graph.sparse_initializer if one.values.name in needed)
    given = {tensor.name for tensor in model.graph.initializer}
    part.graph.input.extend(one for one in model.graph.input if one.name not in given)
    part.graph.output.append(onnx.ValueInfoProto(name=value))
    return part


def _constants(graph: Any) -> set[str]:
    """Return the names of the values that are the same for all images."""
    constants = constants_of(graph)
    for node in graph.node:
        if constants.issuperset(node.input):
            constants.update(node.output)
    return constants
