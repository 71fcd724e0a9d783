"""A choice of backbone, weights and output, checked without importing TensorFlow."""

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from transforms.backbones.catalog.facts import find_backbone
from transforms.backbones.engines import AUTO, ENGINES, ONNX_MODELS, SAVED_MODELS, choose_engine
from transforms.backbones.preprocessing import canonical
from transforms.core.errors import UsageError
from transforms.core.spec import ACTIVATIONS, POOLINGS, PRECISIONS

if TYPE_CHECKING:
    from transforms.core.elements import Size

KerasModel: TypeAlias = Any
"""A keras.Model; Any, since Keras has no type hints."""

KERAS, SAVED_MODEL, ONNX = "keras", "saved_model", "onnx"
"""Kinds of whole models, which the embedding spec names instead of a backbone."""

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
      weights_sha256: hash of the weights' values in the model's order, in hex; for a SavedModel or ONNX, of its files.
      layer: the layer of a whole model whose output was taken where the user named none; '' for its own output.
      why: what of a whole model was left off, in words; '' if nothing.
      found_in: name of the nested model of a weights file that the backbone was found in; '' if in none.
    """

    dim: int
    weights_sha256: str
    layer: str = ""
    why: str = ""
    found_in: str = ""


@dataclasses.dataclass(frozen=True)
class OwnModel:
    """A whole model of the user's own, by what its file says.

    Attributes:
      kind: KERAS, SAVED_MODEL or ONNX.
      num_weights: number of its weights.
      rescales: what in the model makes its input from pixels, in words; '' if it has to be told by `preprocess`.
    """

    kind: str
    num_weights: int = 0
    rescales: str = ""


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A backbone and one of its outputs: uint8 [B, H, W, 3] RGB -> float32 [B, D].

    It is one of `keras.applications`, or a whole model of the user's own, which `own_backbone` reads.

    Args:
      name: the constructor's name, in any case; of a whole model, the name of its file.
      weights: 'imagenet', 'random' (seeded) or the path of a weights file, or of a whole model, on any Beam filesystem.
      weights_sha256: what the weights file must hash to, in hex; '' accepts any.
      backbone_kwargs: further arguments of the constructor, e.g. {'alpha': 0.25}.
      pooling: 'avg', 'max', 'flatten' or, for the tokens of a whole model, 'cls'.
      include_top: take the classifier's output instead.
      classifier_activation: activation of the top, 'softmax' or 'linear' (logits).
      top_k: number of classes to name for each image, best first; needs include_top.
      layer: take the output of this layer instead, pooled if it is a feature map.
      image_size: height and width of the input, in px; default: the constructor's.
      normalize: scale each vector to unit L2 norm.
      precision: numbers to compute in, 'float32', 'bfloat16' or 'float16'.
      engine: library that computes, one of ENGINES; 'auto' is chosen by each process that loads it.
      model: what the file of a whole model says; None for a backbone of Keras.
      trust_model: accept a whole model that is a program, and so can do anything.
      preprocess: how to make a whole model's input from pixels, see `transforms.backbones.preprocessing`; '' for a
        backbone of Keras, which has its own.
      rewrites: rewrite the graph for speed, see `transforms.backbones.rewrites`.

    Raises:
      UsageError: an argument that does not exist or contradicts another; or a model is a program that is not trusted.
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
    model: OwnModel | None = None
    trust_model: bool = False
    preprocess: str = ""
    rewrites: bool = True

    def __post_init__(self) -> None:
        if not self.model:
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
        if self.model:
            self._check_model()
        elif self.pooling == "cls":
            raise UsageError("--pooling cls is for a --model of tokens; backbones of Keras give feature maps")
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

    def _check_model(self) -> None:
        # Before anything is copied or built of it.
        if self.architecture == SAVED_MODEL and not self.trust_model:
            raise UsageError(
                f"{self.given_as} is a SavedModel, a program that can do anything; add --trust_model if you know who "
                "made it"
            )
        if self.include_top or self.backbone_kwargs:
            raise UsageError(
                "--include_top and --backbone_kwargs are for a --backbone; --layer chooses a model's output"
            )
        if not self.image_size or not self.preprocess:
            raise UsageError(
                "a whole model needs an image_size and a preprocess; own_backbone reads them from its file"
            )

    def for_this_machine(self) -> "Backbone":
        """Return the backbone with the engine that computes it here.

        Raises:
          UsageError: the engine is not installed, or does not read the model, or would leave a GPU idle unasked.
        """
        return dataclasses.replace(self, engine=choose_engine(self.engine, self.read_as))

    @property
    def size(self) -> "Size":
        """Height and width of the input, in px."""
        if self.image_size:
            return self.image_size
        side = find_backbone(self.name).side
        return (side, side)

    @property
    def architecture(self) -> str:
        """What computes, as in the embedding spec: a constructor's name, or the kind of a whole model."""
        return self.model.kind if self.model else self.name

    @property
    def num_weights(self) -> int:
        """Number of weights, without a top."""
        return self.model.num_weights if self.model else find_backbone(self.name).params

    @property
    def read_as(self) -> str:
        """What its engine has to read, SAVED_MODELS or ONNX_MODELS of `transforms.backbones.engines`."""
        return ONNX_MODELS if self.architecture == ONNX else SAVED_MODELS

    @property
    def given_as(self) -> str:
        """The flag and the path of own weights or of a whole model, for messages."""
        return f"--{'model' if self.model else 'weights'} {self.weights}"

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
