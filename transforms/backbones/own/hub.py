"""Layers of Keras Hub, which count as known where it is installed."""

import importlib
import importlib.util

from transforms.backbones.graph.keras_applications import keras


def why_unknown(name: str) -> str:
    """Return why a layer of Keras Hub is refused, in words; '' if it is one that is installed."""
    if name.endswith(("Tokenizer", "Preprocessor")):
        return "reads files"
    if importlib.util.find_spec("keras_hub") is None:
        return "is of Keras Hub; pip install keras-hub"
    importlib.import_module("keras_hub")
    if keras.saving.get_registered_object(f"keras_hub>{name}") is None:
        return "the Keras Hub that is installed does not have"
    return ""
