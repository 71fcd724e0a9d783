"""Build a backbone as one TensorFlow graph, from uint8 pixels to float32 vectors, preprocessing and all."""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from transforms.backbones.backbone import Backbone
from transforms.backbones.build import build_model
from transforms.backbones.engines import FROZEN_AT_MOST
from transforms.backbones.engines.tensorflow import device
from transforms.backbones.files import sha256_of_files
from transforms.backbones.fold import fold_biases
from transforms.backbones.keras_applications import keras, preprocess_of
from transforms.backbones.tensorflow_quietly import convert_variables_to_constants_v2, tf
from transforms.backbones.weights import check_sha256, is_saved_model, load_file, local_copy, sha256_of_values
from transforms.errors import UsageError, one_line

LARGEST_GRAPH = 1_900_000_000
"""Bytes of weights that a frozen graph can hold: protobuf ends at 2 GiB."""


@dataclasses.dataclass(frozen=True)
class Graph:
    """A backbone as a function: uint8 [B, H, W, 3] RGB -> float32 [B, D].

    Attributes:
      function: TensorFlow's.
      frozen: whether its weights are constants in it.
      dim: D.
      weights_sha256: of the weights' values in the model's order; of a SavedModel, of its files.
    """

    function: Any
    frozen: bool
    dim: int
    weights_sha256: str

    def definition(self) -> bytes:
        """Return the GraphDef."""
        definition: bytes = self.function.graph.as_graph_def().SerializeToString()
        return definition

    def facts(self) -> dict[str, Any]:
        """Return what is to be known to run the GraphDef."""
        ends = {"input": self.function.inputs[0].name, "output": self.function.outputs[0].name}
        return {"dim": self.dim, "weights_sha256": self.weights_sha256, **ends}


def build_graph(backbone: Backbone) -> Graph:
    """Build a backbone with its weights.

    Raises:
      UsageError: the weights cannot be had or do not fit.
    """
    tf.get_logger().setLevel("ERROR")
    given = _saved_model if is_saved_model(backbone.weights) else _keras_model
    model, size, weights_sha256 = given(backbone)
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
    frozen = size <= (FROZEN_AT_MOST if backbone.engine == "tensorflow" else LARGEST_GRAPH)
    if frozen:
        function = convert_variables_to_constants_v2(function)
    return Graph(function, frozen, int(output.shape[1]), weights_sha256)


def _keras_model(backbone: Backbone) -> tuple[Callable[[Any], Any], int, str]:
    mixed = backbone.precision != "float32" and device() == "GPU"
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(f"mixed_{backbone.precision}" if mixed else policy)
    try:
        model = build_model(backbone)
    finally:
        keras.config.set_dtype_policy(policy)
    if backbone.weights not in ("imagenet", "random"):
        load_file(model, backbone)
    size = sum(np.prod(weight.shape, dtype=np.int64) * 4 for weight in model.weights)
    weights_sha256 = sha256_of_values(model)
    fold_biases(model)
    return lambda x: model(x, training=False), int(size), weights_sha256


def _saved_model(backbone: Backbone) -> tuple[Callable[[Any], Any], int, str]:
    if not backbone.trust_saved_model:
        raise UsageError(
            f"--weights {backbone.weights} is a SavedModel, a program that can do anything; "
            "add --trust_saved_model if you know who made it"
        )

    def check(folder: str) -> None:
        check_sha256(os.path.join(folder, "saved_model.pb"), backbone)

    with local_copy(backbone.weights, check) as folder:
        weights_sha256 = sha256_of_files(folder)
        try:
            loaded = tf.saved_model.load(folder)
            signature = loaded.signatures["serving_default"]
        except (OSError, KeyError, ValueError) as e:
            raise UsageError(f"--weights {backbone.weights} cannot be used as a SavedModel: {one_line(e)}") from e
    (argument,) = signature.structured_input_signature[1]

    def model(x: Any) -> Any:
        # The signature holds weights that live only as long as what was loaded.
        return next(iter(signature(**{argument: x}).values())) if loaded else None

    size = sum(int(np.prod(v.shape)) * 4 for v in signature.variables)
    return model, size, weights_sha256
