"""Keras, set up as its weights were trained: TensorFlow, channels last, float32."""

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import transforms.core.tensorflow_setup  # noqa: F401

# Keras reads this when it is imported; the user's keras.json may name another backend.
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras

keras.config.set_image_data_format("channels_last")
keras.config.set_floatx("float32")

from keras.src.backend.common import global_state  # noqa: E402

__all__ = ["constructor", "constructors", "keras", "preprocess_of", "without_values"]


@contextlib.contextmanager
def without_values() -> Iterator[None]:
    """Let models be built in this block whose variables have shapes and no values, and so no memory."""
    with keras.StatelessScope(initialize_variables=False):
        yield
    # Else Keras would make the values when the next such scope ends.
    global_state.set_global_attribute("uninitialized_variables", [])


def constructors() -> list[str]:
    """Return the names of all constructors of `keras.applications`."""
    applications = vars(keras.applications)
    return sorted(name for name, value in applications.items() if name[0].isupper() and callable(value))


def constructor(name: str) -> Callable[..., Any]:
    """Return a constructor by its name."""
    found: Callable[..., Any] = getattr(keras.applications, name)
    return found


def preprocess_of(name: str) -> Callable[..., Any]:
    """Return the `preprocess_input` that belongs to a constructor: RGB of 0 to 255 -> what the weights expect."""
    found: Callable[..., Any] = importlib.import_module(constructor(name).__module__).preprocess_input
    return found
