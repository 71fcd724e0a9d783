"""Everything that decides the numbers of an embedding: the choices, each spelled once, and the fingerprint.

Importing this imports no other library, so that the command's flags can take their choices from here.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

PIXELS_POLICY = "srgb-3"
"""Version of the rules for colour and orientation in `transforms.decode`; it changes when their pixels do."""

POOLINGS = ("avg", "max", "flatten", "cls")
ACTIVATIONS = ("softmax", "linear")
PRECISIONS = ("float32", "bfloat16", "float16")
RESIZES = ("crop", "stretch", "pad")
RESIZE_FILTERS = ("bilinear", "nearest", "bicubic", "lanczos", "area")
COLOR_PROFILES = ("ignore", "apply")
LEAST_FRACTION = 0.01
"""Least value of `central_fraction`: less would leave nothing of an image."""
DTYPES = ("float32", "float16")
"""Types of stored vectors."""

BUILT_IN_WEIGHTS = ("imagenet", "random")
"""Values of `weights` that are not paths."""

OWN_PREPROCESSING = "backbone"
"""Value of `preprocess` that stands for the backbone's own, that of its `preprocess_input`."""


@dataclasses.dataclass(frozen=True)
class EmbeddingSpec:
    """How a vector was made; only files with the same fingerprint may be mixed.

    Not in it is what only computes the same, the engine and the rewrites of the graph: the canary proves on each worker
    that it does (`transforms.embed.canary`), and the manifest says which they were.

    Fields with a default were added later: the canonical JSON leaves them out at their default, so that a new option
    changes no old fingerprint.

    Attributes:
      weights: 'imagenet', 'random' or 'file'.
      weights_sha256: hash of the weights' values, in hex.
      output: output of the backbone, as `Backbone.output` names it.
      classifier_activation: activation of the top; None for other outputs.
      image_size: height and width of the backbone's input, in px.
      decoded_for: height and width of the largest input of the run, in px: large JPEGs are reduced towards it, or
        towards what it is cut out of.
      dim: width of the vectors.
      preprocess: how the network's input was made from pixels, see `transforms.backbones.preprocessing`.
      color_profile: whether images were converted to sRGB as their ICC profiles say: 'ignore' or 'apply'.
      central_fraction: part of the scaled sides that was cut out of the middle, where `resize` is 'crop'.
    """

    backbone: str
    backbone_kwargs: dict[str, Any]
    weights: str
    weights_sha256: str
    output: str
    classifier_activation: str | None
    image_size: tuple[int, int]
    decoded_for: tuple[int, int]
    resize: str
    resize_filter: str
    pixels_policy: str
    precision: str
    normalize: bool
    embedding_dtype: str
    dim: int
    preprocess: str = OWN_PREPROCESSING
    color_profile: str = "ignore"
    central_fraction: float = 1.0

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "EmbeddingSpec":
        """Return the spec that a manifest says, also one that says more, as older ones name the engine."""
        said = {field.name: entry[field.name] for field in dataclasses.fields(cls) if field.name in entry}
        return cls(**{**said, **{name: tuple(said[name]) for name in ("image_size", "decoded_for")}})

    def to_json(self) -> str:
        """Return the canonical JSON: sorted keys, no spaces, no field that has its default, 1 for 1.0."""
        defaults = {f.name: f.default for f in dataclasses.fields(self) if f.default is not dataclasses.MISSING}
        said = {k: v for k, v in dataclasses.asdict(self).items() if k not in defaults or v != defaults[k]}
        return json.dumps(_with_whole_numbers(said), sort_keys=True, separators=(",", ":"))

    @property
    def fingerprint(self) -> str:
        """The first 16 hex digits of the sha256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]


def _with_whole_numbers(value: Any) -> Any:
    """Return a JSON value with each float that is a whole number as an integer: they are equal, their texts are not."""
    if isinstance(value, dict):
        return {key: _with_whole_numbers(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_whole_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
