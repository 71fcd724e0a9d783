"""A SavedModel as a backbone: a program, which `Backbone` takes only if the user trusts it."""

from typing import Any

import numpy as np

from transforms.backbones.backbone import Backbone, WeightsFacts
from transforms.backbones.engines import ENGINES
from transforms.backbones.graph.source import GraphSource, TensorFunction, check_pooling, width_of
from transforms.backbones.own.header import Header
from transforms.backbones.preprocessing import parse
from transforms.backbones.weights.files import own_file, sha256_of_own
from transforms.backbones.weights.values import check_values, variables_of
from transforms.core.errors import UsageError, one_line
from transforms.core.tensorflow_setup import convert_variables_to_constants_v2, tf

LARGEST_CONSTANTS = 1_900_000_000
"""Maximum size of the weights that a graph can hold as constants, in bytes: protobuf ends at 2 GiB."""


def read_header(local: str, backbone: Backbone) -> Header:
    """Read what a SavedModel takes: path of its folder -> Header.

    Raises:
      UsageError: it cannot be read, or it takes no images.
    """
    # Named, so that it lives: the variables go with the program.
    program, signature, argument, _ = _loaded(local, backbone)
    taken = signature.structured_input_signature[1][argument]
    shape, kind = taken.shape, taken.dtype
    if not kind.is_floating and backbone.preprocess != "raw":
        raise UsageError(f"{backbone.given_as} takes {kind.name} numbers, which only --preprocess raw gives")
    if shape.rank != 4 or shape[3] != 3:
        raise UsageError(f"{backbone.given_as} takes {shape}, not RGB images, (None, height, width, 3)")
    _, height, width, _ = shape
    weights = sum(int(np.prod(v.shape)) for v in program.signatures["serving_default"].variables)
    return Header((height, width) if height and width else None, "", weights)


def saved_model_source(backbone: Backbone) -> GraphSource:
    """Load a SavedModel with its weights: Backbone -> GraphSource.

    Raises:
      UsageError: as `read_header`; it has a wrong sha256; it does not give one vector an image.
    """
    if backbone.layer:
        raise UsageError(f"{backbone.given_as} is a SavedModel, whose output is its own; drop --layer")
    with own_file(backbone) as folder:
        weights_sha256 = sha256_of_own(folder, backbone)
        program, signature, argument, result = _loaded(folder, backbone)
    check_values(variables_of(v for v in signature.variables if v.dtype.is_floating), backbone)
    constant = _with_constants(signature, backbone)
    preprocess, kind = parse(backbone.preprocess), signature.structured_input_signature[1][argument].dtype
    pooled, dim = _pooled(signature.structured_outputs[result].shape, backbone)

    def function(pixels: Any) -> Any:
        x = tf.cast(preprocess(pixels), kind)
        return pooled(tf.nest.flatten(constant(x))[0] if constant else signature(**{argument: x})[result])

    # What reads no variables needs none beside it.
    owner = program if constant is None or constant.captured_inputs else ()
    return GraphSource(lambda: WeightsFacts(dim, weights_sha256), lambda: (function, owner))


def _loaded(folder: str, backbone: Backbone) -> tuple[Any, Any, str, str]:
    """Return a SavedModel, its signature, and the names of the signature's argument and result."""
    try:
        program = tf.saved_model.load(folder)
        signature = program.signatures["serving_default"]
        (argument,), (result,) = signature.structured_input_signature[1], signature.structured_outputs
    except Exception as e:
        # A broken SavedModel raises nearly anything: OSError, KeyError, IndexError, TensorFlow's own errors.
        why = f"{one_line(e)}; it needs a serving_default of one input and one output"
        raise UsageError(f"{backbone.given_as} cannot be used as a SavedModel: {why}") from e
    return program, signature, argument, result


def _pooled(shape: Any, backbone: Backbone) -> tuple[TensorFunction, int]:
    """Return what makes one vector of an output of a shape, and its width."""
    if shape.rank is None:
        raise UsageError(f"{backbone.given_as} gives an output of unknown shape, not one vector an image")
    if shape.rank not in (3, 4) or backbone.pooling == "flatten":
        sides = list(shape[1:])
        if shape.rank > 2 and all(sides):
            return lambda x: tf.reshape(x, [-1, int(np.prod(sides))]), int(np.prod(sides))
        return lambda x: x, width_of(shape, backbone)
    dim = width_of(shape[:1].concatenate(shape[-1:]), backbone)
    check_pooling(shape.rank, backbone)
    if backbone.pooling == "cls":
        return lambda x: x[:, 0], dim
    reduce = tf.reduce_mean if backbone.pooling == "avg" else tf.reduce_max
    return lambda x: reduce(x, list(range(1, shape.rank - 1))), dim


def _with_constants(signature: Any, backbone: Backbone) -> Any:
    """Turn the variables into constants, by which TensorFlow simplifies the graph; return None if they are too large.

    An engine that finds variables by name would mix up those that share one, and so has to have constants.
    """
    size = sum(int(np.prod(v.shape)) * v.dtype.size for v in signature.variables)
    if size <= LARGEST_CONSTANTS:
        return convert_variables_to_constants_v2(signature)
    if ENGINES[backbone.engine].reads_names:
        raise UsageError(f"{backbone.given_as} is too large for --engine {backbone.engine}; use --engine tensorflow")
    return None
