"""The backbone as the peers use it: plain Keras, ImageNet weights unless WEIGHTS=random, averaged."""

import importlib
import os
from collections.abc import Callable
from typing import Any

import keras

from benchmarks.ways import SIDE


def keras_model(backbone: str) -> Any:
    """Build the model: preprocessed float32 [B, 224, 224, 3] -> float32 [B, D]."""
    weights = None if os.environ.get("WEIGHTS") == "random" else "imagenet"
    build = getattr(keras.applications, backbone)
    return build(weights=weights, include_top=False, pooling="avg", input_shape=(SIDE, SIDE, 3))


def preprocess(backbone: str) -> Callable[[Any], Any]:
    """Return the backbone's own `preprocess_input`."""
    module = importlib.import_module(getattr(keras.applications, backbone).__module__)
    found: Callable[[Any], Any] = module.preprocess_input
    return found
