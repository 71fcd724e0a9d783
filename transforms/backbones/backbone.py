"""A choice of backbone, weights and output, checked without importing TensorFlow."""

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from transforms.backbones.catalog.facts import find_backbone
from transforms.backbones.engines import AUTO, ENGINES, choose_engine
from transforms.backbones.preprocessing import canonical
from transforms.core.errors import UsageError
from transforms.core.spec import ACTIVATIONS, POOLINGS, PRECISIONS

if TYPE_CHECKING:
    from transforms.core.elements import Size

KerasModel: TypeAlias = Any
"""A keras.Model; Any, since Keras has no type hints."""

OWN_KWARGS = {
    "weights": "--weights",
    "include_top": "--include_top",
    "pooling": "--pooling",
    "input_shape": "--image_size",
    "classifier_activation": "--classifier_activation",
    "input_tensor": "--input",
    "name": "--backbone",
}
"""Arguments of Keras' constructors that have a flag of their own."""


class WeightsFacts(NamedTuple):
    """What is known about a backbone once its weights are read.

    Attributes:
      dim: width of its vectors.
      weights_sha256: hash of the weights' values in the model's order, in hex; for a SavedModel, of its files.
      found_in: name of the nested model of a weights file that the backbone was found in; '' if in none.
    """

    dim: int
    weights_sha256: str
    found_in: str = ""


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A backbone of `keras.applications` and one of its outputs: uint8 [B, H, W, 3] RGB -> float32 [B, D].

    Args:
      name: the constructor's name, in any case.
      weights: 'imagenet', 'random' (seeded) or the path of a weights file on any Beam filesystem.
      weights_sha256: what the weights file must hash to, in hex; '' accepts any.
      backbone_kwargs: further arguments of the constructor, e.g. {'alpha': 0.25}.
      pooling: 'avg', 'max' or 'flatten'.
      include_top: take the classifier's output instead.
      classifier_activation: activation of the top, 'softmax' or 'linear' (logits).
      top_k: number of classes to name for each image, best first; needs include_top.
      layer: take the output of this layer instead, pooled if it is a feature map.
      image_size: height and width of the input, in px; default: the constructor's.
      normalize: scale each vector to unit L2 norm.
      precision: numbers to compute in, 'float32', 'bfloat16' or 'float16'.
      engine: library that computes, 'tensorflow' or 'openvino'; 'auto' is chosen by each process that loads it.
      trust_saved_model: accept `weights` that are a SavedModel, a program that can do anything.
      preprocess: how to make a SavedModel's input from pixels, see `transforms.backbones.preprocessing`; '' for all
        other weights.
      rewrites: rewrite the graph for speed, see `transforms.backbones.rewrites`.

    Raises:
      UsageError: an argument that does not exist or contradicts another.
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
    image_size: "Size | None" = None
    normalize: bool = False
    precision: str = "float32"
    engine: str = "tensorflow"
    trust_saved_model: bool = False
    preprocess: str = ""
    rewrites: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", find_backbone(self.name).name)
        object.__setattr__(self, "preprocess", self.preprocess and canonical(self.preprocess))
        for option, value, choices in (
            ("pooling", self.pooling, POOLINGS),
            ("classifier_activation", self.classifier_activation, ACTIVATIONS),
            ("precision", self.precision, PRECISIONS),
            ("engine", self.engine, (AUTO, *ENGINES)),
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

    def for_this_machine(self) -> "Backbone":
        """Return the backbone with the engine that computes it here.

        Raises:
          UsageError: the engine is not installed.
        """
        return dataclasses.replace(self, engine=choose_engine(self.engine))

    @property
    def size(self) -> "Size":
        """Height and width of the input, in px."""
        side = find_backbone(self.name).side
        return self.image_size or (side, side)

    @property
    def output(self) -> str:
        """The output in words, as in the embedding spec: 'top', 'avg', 'layer:NAME:avg'."""
        if self.include_top:
            return "top"
        return f"layer:{self.layer}:{self.pooling}" if self.layer else self.pooling

    @property
    def key(self) -> str:
        """A text that is the same for equal backbones, in every process."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)
