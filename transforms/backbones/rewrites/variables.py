"""Spare TensorFlow work with variables: it makes, writes and reads each one with operations of its own."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

from transforms.backbones.backbone import KerasModel
from transforms.backbones.graph.keras_applications import keras
from transforms.core.tensorflow_setup import tf

SMALL = 16_384
"""Maximum number of values in a weight that becomes a constant of the graph.

Most weights are that small, and together hold few of all values. Larger constants would make the graph slow to build
and to read.
"""


@contextlib.contextmanager
def of_one_name() -> Iterator[None]:
    """Give all variables one name: TensorFlow compiles the creation of a variable for each name and shape.

    Keras finds weights in files by names of its own.
    """
    # The slash keeps out the names of the layers around it.
    with tf.variable_creator_scope(lambda make, **settings: make(**{**settings, "name": "weight/"})):
        yield


def with_constants(model: KerasModel) -> tuple[Callable[[Any], Any], list[Any]]:
    """Make small weights constants, with their present values: keras.Model -> its function, and the other variables."""
    sizes = [(weight, math.prod(weight.shape)) for weight in model.weights]
    constants = [(weight, weight.numpy()) for weight, size in sizes if size <= SMALL]

    def call(x: Any) -> Any:
        with keras.StatelessScope(state_mapping=constants):
            return model(x, training=False)

    return call, [weight.value for weight, size in sizes if size > SMALL]
