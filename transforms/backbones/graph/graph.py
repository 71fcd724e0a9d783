"""Build a backbone as one TensorFlow graph, from uint8 pixels to float32 vectors, preprocessing and all."""

import concurrent.futures
import dataclasses
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from transforms.backbones.backbone import Backbone, Facts
from transforms.backbones.engines import dtype_policy, has_gpu
from transforms.backbones.graph.keras_applications import keras, preprocess_of
from transforms.backbones.graph.model import build_model
from transforms.backbones.graph.tensorflow_setup import convert_variables_to_constants_v2, tf
from transforms.backbones.rewrites.fold import fold
from transforms.backbones.rewrites.variables import of_one_name, with_constants
from transforms.backbones.rewrites.winograd import winograd
from transforms.backbones.weights.files import check_sha256, is_saved_model, local_copy, sha256_of_values
from transforms.backbones.weights.hashing import sha256_of_files
from transforms.core.errors import UsageError, one_line

LARGEST_CONSTANTS = 1_900_000_000
"""Bytes of weights that a graph can have as constants: protobuf ends at 2 GiB."""


class Model(NamedTuple):
    """A backbone with its weights.

    Attributes:
      facts: hashes the weights; one thread can do it while another one prepares.
      prepare: gives a function of float32 pixels, and what has its variables.
    """

    facts: Callable[[], Facts]
    prepare: Callable[[], tuple[Callable[[Any], Any], Any]]


@dataclasses.dataclass(frozen=True)
class Graph:
    """A backbone as a function: uint8 [B, H, W, 3] RGB -> float32 [B, D].

    Attributes:
      function: TensorFlow's.
      weights: TensorFlow's object that has the function's variables and tables.
      facts: of the backbone.
      engine: what will read it.
    """

    function: Any
    weights: Any
    facts: Facts
    engine: str

    def save(self, folder: str) -> None:
        """Write a SavedModel; raise OSError where that cannot be."""
        module = tf.Module()
        module.weights = self.weights
        # A subgraph that TensorFlow makes of all variables, and does not read; OpenVINO finds them by it.
        options = tf.saved_model.SaveOptions(experimental_skip_saver=self.engine == "tensorflow")
        try:
            tf.saved_model.save(module, folder, signatures=self.function, options=options)
        except tf.errors.OpError as e:
            raise OSError(one_line(e)) from e


def build_graph(backbone: Backbone, tell: Callable[[Facts], None] = lambda facts: None) -> Graph:
    """Build the graph of a backbone, and tell its facts before that is done.

    Args:
      tell: is called in a thread, once the weights are read and hashed.

    Raises:
      UsageError: the weights cannot be had or do not fit, or the backbone does not give one vector an image, or does
        not take images of this size.
    """
    tf.get_logger().setLevel("ERROR")
    model = (_saved_model if is_saved_model(backbone.weights) else _keras_model)(backbone)

    def hash_weights() -> Facts:
        facts = model.facts()
        tell(facts)
        return facts

    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        facts = thread.submit(hash_weights)
        function, weights = _trace(backbone, model)
    return Graph(function, weights, facts.result(), backbone.engine)


def _trace(backbone: Backbone, model: Model) -> tuple[Any, Any]:
    function, weights = model.prepare()

    @tf.function(input_signature=[tf.TensorSpec([None, *backbone.size, 3], tf.uint8)], autograph=False)
    def embed(pixels: Any) -> Any:
        output = tf.cast(function(tf.cast(pixels, tf.float32)), tf.float32)
        if backbone.normalize:
            # By the largest value first: the squares of small ones would vanish in float32.
            output = tf.math.divide_no_nan(output, tf.reduce_max(tf.abs(output), axis=-1, keepdims=True))
            output = tf.math.divide_no_nan(output, tf.norm(output, axis=-1, keepdims=True))
        return output

    try:
        return embed.get_concrete_function(), weights
    except (ValueError, TypeError, tf.errors.OpError) as e:
        raise UsageError(f"{backbone.name} cannot be run on images of {backbone.size}: {one_line(e)}") from e


def _dim(shape: Any, backbone: Backbone) -> int:
    if len(shape) != 2 or not shape[1]:
        raise UsageError(f"{backbone.name} gives {tuple(shape)}, not one vector an image; choose another output")
    return int(shape[1])


def _keras_model(backbone: Backbone) -> Model:
    found, policy = keras.config.dtype_policy(), dtype_policy(backbone.engine, backbone.precision)
    keras.config.set_dtype_policy(policy)
    try:
        with of_one_name():
            model = build_model(backbone)
    finally:
        keras.config.set_dtype_policy(found)

    def prepare() -> tuple[Callable[[Any], Any], Any]:
        # Mixed precision normalizes in float32, and would round the biases that folding makes. A processor may compute
        # in bfloat16, too, and then rounds them, but MobileNetV2 is 2.8 times as fast for it.
        best, preprocess = model, preprocess_of(backbone.name)
        if policy == "float32":
            # What it sums up needs all of float32; and a GPU does it by itself.
            sums = backbone.precision == "float32" and not has_gpu()
            with of_one_name():
                best, preprocess = fold(model, preprocess, winograd) if sums else fold(model, preprocess)
        function, variables = with_constants(best)
        return lambda x: function(preprocess(x)), variables

    dim = _dim(model.output_shape, backbone)
    return Model(lambda: Facts(dim, sha256_of_values(model)), prepare)


def _saved_model(backbone: Backbone) -> Model:
    if not backbone.trust_saved_model:
        raise UsageError(
            f"--weights {backbone.weights} is a SavedModel, a program that can do anything; "
            "add --trust_saved_model if you know who made it"
        )
    if backbone.layer or backbone.pooling != "avg":
        raise UsageError(
            f"--weights {backbone.weights} is a SavedModel, whose output is its own; drop --layer, --pooling"
        )

    def check(folder: str) -> None:
        check_sha256(os.path.join(folder, "saved_model.pb"), backbone)

    with local_copy(backbone.weights, check) as folder:
        weights_sha256 = sha256_of_files(folder)
        try:
            loaded = tf.saved_model.load(folder)
            signature = loaded.signatures["serving_default"]
            (argument,), (result,) = signature.structured_input_signature[1], signature.structured_outputs
        except Exception as e:
            # A broken one raises nearly anything: OSError, KeyError, IndexError, errors of TensorFlow's own.
            why = f"{one_line(e)}; it needs a serving_default of one input and one output"
            raise UsageError(f"--weights {backbone.weights} cannot be used as a SavedModel: {why}") from e
    constant = _frozen(signature, backbone) if backbone.engine == "openvino" else None

    preprocess = preprocess_of(backbone.name)

    def function(pixels: Any) -> Any:
        x = preprocess(pixels)
        return tf.nest.flatten(constant(x))[0] if constant else signature(**{argument: x})[result]

    dim = _dim(signature.structured_outputs[result].shape, backbone)
    return Model(lambda: Facts(dim, weights_sha256), lambda: (function, loaded))


def _frozen(signature: Any, backbone: Backbone) -> Any:
    """Make constants of its variables, which OpenVINO would look for by their names: a stranger's may share one."""
    size = sum(int(np.prod(v.shape)) * v.dtype.size for v in signature.variables)
    if size > LARGEST_CONSTANTS:
        raise UsageError(f"--weights {backbone.weights} is too large for --engine openvino; use --engine tensorflow")
    return convert_variables_to_constants_v2(signature)
