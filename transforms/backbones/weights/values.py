"""The values of weights, wherever they come from: their hash, and whether they can be computed with."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from transforms.backbones.backbone import Backbone, KerasModel
from transforms.core.errors import UsageError


class Variable(NamedTuple):
    """A variable of a network: its layer, its own name, its values as an array."""

    layer: str
    name: str
    values: Any


def variables_of(weights: Iterable[Any]) -> Iterator[Variable]:
    """Read variables one after the other: those of Keras or of TensorFlow -> Variable."""
    for weight in weights:
        # Keras has the layer in the path, TensorFlow in the name, with the number of the output.
        layer, _, name = getattr(weight, "path", weight.name).partition(":")[0].rpartition("/")
        yield Variable(layer, name, weight.numpy())


def sha256_of_values(model: KerasModel) -> str:
    """Return the sha256 of all weights' values in the model's order, in hex: it is the same for every kind of file."""
    digest = hashlib.sha256()
    for variable in variables_of(model.weights):
        digest.update(variable.values)
    return digest.hexdigest()


def check_values(variables: Iterable[Variable], backbone: Backbone) -> None:
    """Refuse variables that make every vector NaN, or would, if the engines' activations did not turn NaN into 0.

    Args:
      variables: those of one network.
      backbone: whose they are, for the message.

    Raises:
      UsageError: a value is not finite, or is a variance below 0, whose root is NaN; the message names the layer.
    """
    for layer, name, values in variables:
        if not np.isfinite(values).all():
            wrong = "values that are NaN or infinite"
        elif name.endswith("variance") and (values < 0).any():
            wrong = "values below 0"
        else:
            continue
        where = f"{name} of layer {layer}" if layer else name
        raise UsageError(f"{backbone.given_as} cannot be used: {where} has {wrong}")
