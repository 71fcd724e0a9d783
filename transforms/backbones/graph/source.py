"""What a graph is traced from, wherever its weights come from."""

from collections.abc import Callable
from typing import Any, NamedTuple

from transforms.backbones.backbone import Backbone, WeightsFacts
from transforms.core.errors import UsageError

TensorFunction = Callable[[Any], Any]
"""Function of TensorFlow's tensors: float32 [B, H, W, 3] of 0 to 255 -> [B, D]."""


class GraphSource(NamedTuple):
    """A backbone with its weights, before it is traced.

    Attributes:
      facts: function that hashes the weights; may run in another thread than `prepare`.
      prepare: function that returns the function of the pixels and the object that owns its variables.
    """

    facts: Callable[[], WeightsFacts]
    prepare: Callable[[], tuple[TensorFunction, Any]]


def width_of(shape: Any, backbone: Backbone) -> int:
    """Return D of an output of shape [B, D]; raise UsageError for any other shape."""
    if len(shape) != 2 or not shape[1]:
        raise UsageError(f"{backbone.name} gives {tuple(shape)}, not one vector an image; choose another output")
    return int(shape[1])


def check_pooling(rank: int, backbone: Backbone) -> None:
    """Raise UsageError if the first token of an output is asked for, and its rank is that of a map, which has none."""
    if backbone.pooling == "cls" and rank == 4:
        raise UsageError(f"--pooling cls takes the first token, and {backbone.given_as} gives maps; choose avg or max")
