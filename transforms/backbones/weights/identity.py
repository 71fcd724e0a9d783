"""Identify weights without loading them, so that a kept graph is found before Keras is imported."""

import contextlib
import os
from typing import Any

from transforms.backbones.weights.keras_download import keras_folder
from transforms.storage.gcs import INSTALLED, generations_of, is_gcs
from transforms.storage.hashing import sha256_of_files
from transforms.storage.paths import scheme_of


def identity_of(weights: str) -> Any:
    """Return a JSON value that differs if the weights differ; None if nothing identifies them.

    Args:
      weights: as in `Backbone.weights`.
    """
    if weights == "random":
        return []
    with contextlib.suppress(OSError):
        if weights == "imagenet":
            # Which file Keras takes is not known here, so all count: a new one costs a rebuild, never a wrong vector.
            with os.scandir(keras_folder()) as files:
                return sorted((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files if ".h5" in f.name)
        if not scheme_of(weights):
            return sha256_of_files(weights)
        if is_gcs(weights) and INSTALLED:
            return sorted(generations_of(weights).items())
    return None
