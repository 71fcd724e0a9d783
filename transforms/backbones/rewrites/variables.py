"""Spare TensorFlow work with variables: it makes, writes and reads each by operations of its own."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

from transforms.backbones.graph.keras_applications import keras
from transforms.backbones.graph.tensorflow_setup import tf

SMALL = 16_384
"""Weights of at most so many numbers become constants of the graph: most weights, and a small part of all numbers. With
larger ones the graph would become slow to build and to read."""


@contextlib.contextmanager
def of_one_name() -> Iterator[None]:
    """Give all of TensorFlow's variables one name: it compiles the making of one anew for each name and shape.

    Keras finds its weights in files by names of its own.
    """
    # The slash leaves out the names of the layers around it.
    with tf.variable_creator_scope(lambda make, **settings: make(**{**settings, "name": "weight/"})):
        yield


def with_constants(model: Any) -> tuple[Callable[[Any], Any], list[Any]]:
    """Take small weights for constants, as they are now: keras.Model -> its function, and the other variables."""
    sizes = [(weight, math.prod(weight.shape)) for weight in model.weights]
    constants = [(weight, weight.numpy()) for weight, size in sizes if size <= SMALL]

    def call(x: Any) -> Any:
        with keras.StatelessScope(state_mapping=constants):
            return model(x, training=False)

    return call, [weight.value for weight, size in sizes if size > SMALL]
