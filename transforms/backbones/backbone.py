"""Which backbone, with which weights, and which of its outputs: checked without importing TensorFlow."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from transforms.backbones.catalog.facts import find_backbone
from transforms.backbones.engines import ENGINES, PRECISIONS
from transforms.core.elements import Size
from transforms.core.errors import UsageError

POOLINGS = ("avg", "max", "flatten")
ACTIVATIONS = ("softmax", "linear")
OWN_KWARGS = {
    "weights": "--weights",
    "include_top": "--include_top",
    "pooling": "--pooling",
    "input_shape": "--image_size",
    "classifier_activation": "--classifier_activation",
    "input_tensor": "--input",
    "name": "--backbone",
}


class Facts(NamedTuple):
    """What is known of a backbone once its weights are read: the width of its vectors, and the weights' sha256.

    The sha256 is of the weights' values in the model's order; of a SavedModel, of its files.
    """

    dim: int
    weights_sha256: str


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A backbone of `keras.applications` and one of its outputs: uint8 [B, H, W, 3] RGB -> float32 [B, D].

    Args:
      name: the constructor's name, any case.
      weights: 'imagenet', 'random' (seeded) or the path of a weights file on any Beam filesystem.
      weights_sha256: what the weights file must hash to, in hex; '' accepts any.
      backbone_kwargs: further arguments for the constructor, e.g. {'alpha': 0.25}.
      pooling: 'avg', 'max' or 'flatten'.
      include_top: the classifier's output instead.
      classifier_activation: of the top, 'softmax' or 'linear' (logits).
      top_k: classes to name for each image, best first; needs include_top.
      layer: the output of the layer of this name instead, pooled where it is a map.
      image_size: (height, width) in px; default the constructor's.
      normalize: scale each vector to unit L2 norm.
      precision: to compute in, 'float32', 'bfloat16' or 'float16'.
      engine: what computes, 'tensorflow' or 'openvino'.
      trust_saved_model: allow `weights` to be a SavedModel, which is a program and can do anything.

    Raises:
      UsageError: arguments that do not exist or contradict each other.
    """

    name: str = "MobileNetV2"
    weights: str = "imagenet"
    weights_sha256: str = ""
    backbone_kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    pooling: str = "avg"
    include_top: bool = False
    classifier_activation: str = "softmax"
    top_k: int = 0
    layer: str = ""
    image_size: Size | None = None
    normalize: bool = False
    precision: str = "float32"
    engine: str = "tensorflow"
    trust_saved_model: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", find_backbone(self.name).name)
        for option, value, choices in (
            ("pooling", self.pooling, POOLINGS),
            ("classifier_activation", self.classifier_activation, ACTIVATIONS),
            ("precision", self.precision, PRECISIONS),
            ("engine", self.engine, ENGINES),
        ):
            if value not in choices:
                raise UsageError(f"--{option} must be one of {', '.join(choices)}, is {value!r}")
        if self.top_k < 0:
            raise UsageError(f"--top_k must be at least 1, is {self.top_k}")
        if self.top_k and not self.include_top:
            raise UsageError("--top_k names classes, which only the top has; add --include_top")
        if self.layer and self.include_top:
            raise UsageError("--layer and --include_top both choose the output; give one of them")
        if self.image_size and min(self.image_size) < 1:
            raise UsageError(f"--image_size must be positive, is {self.image_size}")
        for key in self.backbone_kwargs:
            if key in OWN_KWARGS:
                raise UsageError(f"--backbone_kwargs may not hold {key!r}; use {OWN_KWARGS[key]}")

    @property
    def size(self) -> Size:
        """Height and width of the input, in px."""
        default = find_backbone(self.name).size
        return self.image_size or (default, default)

    @property
    def output(self) -> str:
        """The output in words, as the embedding spec has it: 'top', 'avg', 'layer:NAME:avg'."""
        if self.include_top:
            return "top"
        return f"layer:{self.layer}:{self.pooling}" if self.layer else self.pooling

    @property
    def key(self) -> str:
        """The same for equal backbones, in every process."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)
