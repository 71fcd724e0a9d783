"""Spare TensorFlow work with variables: it makes, writes and reads each by operations of its own."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

from transforms.backbones.keras_applications import keras
from transforms.backbones.tensorflow_setup import tf

SMALL = 16_384
"""The most numbers of a weight that is rather a part of the graph: most are smaller, and together a small part of it.
Of larger ones the graph would become slow to build and to read."""


@contextlib.contextmanager
def of_one_name() -> Iterator[None]:
    """Make TensorFlow's variables sooner, all of one name: it compiles the making of one for each name and shape.

    The names that Keras gives its weights, by which they are found in files, are not affected.
    """
    # A name that ends like this stands for itself, whatever the names around it are.
    with tf.variable_creator_scope(lambda make, **settings: make(**{**settings, "name": "weight/"})):
        yield


def with_constants(model: Any) -> tuple[Callable[[Any], Any], list[Any]]:
    """Take the small weights for constants: keras.Model -> a function of its input, and the variables that are left."""
    small = [weight for weight in model.weights if math.prod(weight.shape) <= SMALL]
    constants = [(weight, weight.numpy()) for weight in small]

    def call(x: Any) -> Any:
        with keras.StatelessScope(state_mapping=constants):
            return model(x, training=False)

    names = {id(weight) for weight in small}
    return call, [weight.value for weight in model.weights if id(weight) not in names]
