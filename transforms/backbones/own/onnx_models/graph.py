"""An ONNX model as a graph from pixels to one vector an image, which is ONNX again; no engine is needed to build it."""

import dataclasses
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

from transforms.backbones.backbone import Backbone, WeightsFacts
from transforms.backbones.engines import ONNX_FILE
from transforms.backbones.graph.held import Step, check_held, num_bytes
from transforms.backbones.graph.source import width_of
from transforms.backbones.own.onnx_models.around import surround
from transforms.backbones.own.onnx_models.file import input_shape, is_channels_first, onnx
from transforms.backbones.own.onnx_models.output import output_of, part_up_to
from transforms.backbones.own.onnx_models.shapes import shapes_of
from transforms.backbones.own.onnx_models.values import read_whole
from transforms.backbones.own.onnx_models.walks import graphs_in, nodes_below
from transforms.backbones.weights.files import own_file, sha256_of_own
from transforms.core.errors import UsageError, one_line

FLOAT32 = 4
"""Size of a number, in bytes: nearly all are float32."""
WEIGHTS = "weights"
"""Name of the file beside a graph that holds its tensors."""


@dataclasses.dataclass(frozen=True)
class OnnxGraph:
    """A backbone as an ONNX model: uint8 [B, H, W, 3] RGB -> float32 [B, D].

    Attributes:
      model: onnx.ModelProto.
      facts: facts of the backbone's weights.
    """

    model: Any
    facts: WeightsFacts

    def save(self, folder: str) -> None:
        """Write it with its tensors beside it, since a file of protobuf ends at 2 GiB; raise OSError if that fails."""
        os.makedirs(folder, exist_ok=True)
        # A copy: writing takes the tensors out of the model.
        copy = onnx.ModelProto()
        copy.CopyFrom(self.model)
        onnx.save_model(copy, os.path.join(folder, ONNX_FILE), save_as_external_data=True, location=WEIGHTS)


def build_onnx_graph(backbone: Backbone, tell: Callable[[WeightsFacts], None] = lambda facts: None) -> OnnxGraph:
    """Build the graph of an ONNX model, and report the facts of its weights.

    Args:
      backbone: the backbone to build.
      tell: function that gets the facts.

    Raises:
      UsageError: the model cannot be read, or it does not give one vector an image.
    """
    with own_file(backbone) as local:
        model = read_whole(local, backbone)
        weights_sha256 = sha256_of_own(local, backbone)
    image = input_shape(model, backbone)
    images_first = is_channels_first(image)
    found = output_of(model.graph, backbone)
    part = part_up_to(found.value, model)
    shape = _shapes_for(2, part, image, backbone).get(found.value, [])
    _check_batch(found.value, shape, image[0], backbone)
    check_held(_steps(part.graph, _shapes_for(1, part, image, backbone)), backbone)
    # Operations of ONNX have maps with their channels first; an exporter turns the images, and so its own output.
    maps_first = images_first or bool(found.layer)
    surround(part, len(shape), images_first, maps_first, backbone)
    facts = WeightsFacts(_width(shape, maps_first, backbone), weights_sha256, found.layer, found.why)
    tell(facts)
    return OnnxGraph(part, facts)


def _shapes_for(images: int, part: Any, image: list[int], backbone: Backbone) -> dict[str, list[int]]:
    """Return the shapes of all values for so many images."""
    height, width = backbone.size
    sides = [images, 3, height, width] if is_channels_first(image) else [images, height, width, 3]
    try:
        return shapes_of(part, sides)
    except (onnx.shape_inference.InferenceError, ValueError) as e:
        raise UsageError(f"{backbone.given_as} cannot take images of {height} x {width} px: {one_line(e)}") from e


def _check_batch(value: str, shape: list[int], batch: int, backbone: Backbone) -> None:
    """Refuse an output whose shape for two images is not theirs: the batch may be fixed in the graph."""
    hint = f"; it was exported for batches of {batch}: export it with a dynamic batch" if batch else ""
    if not shape or not shape[0]:
        simpler = "; simplify it first, e.g. with onnxsim, or choose another output with --layer"
        raise UsageError(f"{backbone.given_as} does not tell the shape of {value} for two images{hint or simpler}")
    if shape[0] != 2:
        raise UsageError(f"{backbone.given_as} gives {shape} for two images{hint or '; choose another output'}")


def _steps(graph: Any, shapes: dict[str, list[int]]) -> Iterator[Step]:
    """Yield the operations of a graph, and those of both branches of a choice before it."""
    for node in graph.node:
        for branch in graphs_in(node):
            yield from _steps(branch, shapes)
        reads = [name for one in nodes_below([node]) for name in one.input]
        sizes = {name: num_bytes((side or None for side in shapes.get(name, [0])), FLOAT32) for name in node.output}
        yield Step(node.output[0], reads, sizes)


def _width(shape: list[int], maps_first: bool, backbone: Backbone) -> int:
    """Return D of the vectors that are made of an output of a shape."""
    images, *sides = shape
    if backbone.pooling == "flatten" or len(sides) not in (2, 3):
        return width_of((images, math.prod(sides)), backbone)
    return width_of((images, sides[0] if len(sides) == 3 and maps_first else sides[-1]), backbone)
