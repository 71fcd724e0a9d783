"""The backbone as workers run it: one frozen graph from uint8 pixels to float32 vectors, loaded once a process."""

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from transforms.backbones.backbone import Backbone
from transforms.backbones.build import build_model
from transforms.backbones.keras_applications import preprocess_of
from transforms.backbones.weights import check_sha256, load_file, sha256_of_values
from transforms.errors import UsageError, one_line

FROZEN_AT_MOST = 1_500_000_000
"""Bytes of weights that are frozen into the graph: protobuf ends at 2 GiB."""


class OutOfMemoryError(Exception):
    """The device has no memory for a batch of this size."""


class LoadedBackbone:
    """A backbone that is ready: uint8 [B, H, W, 3] RGB -> float32 [B, D].

    Attributes:
      dim: D.
      weights_sha256: of the weights' values in the model's order; of a SavedModel, of its files.
      device: the kind of device that TensorFlow runs it on, 'CPU' or 'GPU'.
    """

    def __init__(self, backbone: Backbone):
        tf.get_logger().setLevel("ERROR")
        for gpu in tf.config.list_physical_devices("GPU"):
            # Without it the first process takes all of the memory; a device in use cannot be changed any more.
            with contextlib.suppress(RuntimeError):
                tf.config.experimental.set_memory_growth(gpu, True)
        self.device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
        if os.path.isdir(backbone.weights):
            model, size, self.weights_sha256 = *_saved_model(backbone), _sha256_of_folder(backbone.weights)
        else:
            model, size, self.weights_sha256 = _keras_model(backbone)
        preprocess = preprocess_of(backbone.name)

        @tf.function(input_signature=[tf.TensorSpec([None, *backbone.size, 3], tf.uint8)], autograph=False)
        def embed(pixels: Any) -> Any:
            output = tf.cast(model(preprocess(tf.cast(pixels, tf.float32))), tf.float32)
            if backbone.normalize:
                # By the largest value first: the squares of small ones would vanish in float32.
                output = tf.math.divide_no_nan(output, tf.reduce_max(tf.abs(output), axis=-1, keepdims=True))
                output = tf.math.divide_no_nan(output, tf.norm(output, axis=-1, keepdims=True))
            return output

        try:
            function = embed.get_concrete_function()
        except (ValueError, TypeError, tf.errors.OpError) as e:
            raise UsageError(f"{backbone.name} cannot be run on images of {backbone.size}: {one_line(e)}") from e
        output = function.structured_outputs
        if len(output.shape) != 2 or not output.shape[1]:
            raise UsageError(f"{backbone.name} gives {output.shape}, not one vector an image; choose another output")
        self.dim = int(output.shape[1])
        self._function = convert_variables_to_constants_v2(function) if size < FROZEN_AT_MOST else function

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Embed a batch; raise OutOfMemoryError where the device has no room for it."""
        try:
            output = self._function(tf.constant(pixels))
        except tf.errors.ResourceExhaustedError as e:
            raise OutOfMemoryError(one_line(e)) from e
        vectors: np.ndarray = (output[0] if isinstance(output, list | tuple) else output).numpy()
        return vectors


def _keras_model(backbone: Backbone) -> tuple[Callable[[Any], Any], int, str]:
    model = build_model(backbone)
    if backbone.weights not in ("imagenet", "random"):
        load_file(model, backbone)
    size = sum(np.prod(weight.shape, dtype=np.int64) * 4 for weight in model.weights)
    return lambda x: model(x, training=False), int(size), sha256_of_values(model)


def _saved_model(backbone: Backbone) -> tuple[Callable[[Any], Any], int]:
    if not backbone.trust_saved_model:
        raise UsageError(
            f"--weights {backbone.weights} is a SavedModel, a program that can do anything; "
            "add --trust_saved_model if you know who made it"
        )
    check_sha256(os.path.join(backbone.weights, "saved_model.pb"), backbone)
    try:
        loaded = tf.saved_model.load(backbone.weights)
        signature = loaded.signatures["serving_default"]
    except (OSError, KeyError, ValueError) as e:
        raise UsageError(f"--weights {backbone.weights} cannot be used as a SavedModel: {one_line(e)}") from e
    (argument,) = signature.structured_input_signature[1]

    def model(x: Any) -> Any:
        # The signature holds weights that live only as long as what was loaded.
        return next(iter(signature(**{argument: x}).values())) if loaded else None

    size = sum(int(np.prod(v.shape)) * 4 for v in signature.variables)
    return model, size


def _sha256_of_folder(folder: str) -> str:
    digest = hashlib.sha256()
    for path in sorted(_files(folder)):
        with open(path, "rb") as f:
            digest.update(hashlib.file_digest(f, "sha256").digest())
    return digest.hexdigest()


def _files(folder: str) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        yield from (os.path.join(parent, name) for name in names)


_loaded: dict[str, LoadedBackbone] = {}
_lock = threading.Lock()


def load(backbone: Backbone) -> LoadedBackbone:
    """Return the process's one copy of a backbone, loading it at the first call.

    Raises:
      UsageError: the weights cannot be had or do not fit.
    """
    with _lock:
        if backbone.key not in _loaded:
            _loaded[backbone.key] = LoadedBackbone(backbone)
        return _loaded[backbone.key]
