"""The user's own SavedModel as a backbone: a program, run only if the user trusts it."""

from typing import Any

import numpy as np

from transforms.backbones.backbone import Backbone, WeightsFacts
from transforms.backbones.engines import ENGINES
from transforms.backbones.graph.keras_applications import preprocess_of
from transforms.backbones.graph.source import GraphSource, width_of
from transforms.backbones.preprocessing import CHOICES, parse
from transforms.backbones.weights.files import check_sha256, local_copy
from transforms.backbones.weights.values import check_values, variables_of
from transforms.core.errors import UsageError, one_line
from transforms.core.spec import OWN_PREPROCESSING
from transforms.core.tensorflow_setup import convert_variables_to_constants_v2, tf
from transforms.storage.hashing import sha256_of_files

LARGEST_CONSTANTS = 1_900_000_000
"""Maximum size of the weights that a graph can hold as constants, in bytes: protobuf ends at 2 GiB."""


def saved_model_source(backbone: Backbone) -> GraphSource:
    """Load a SavedModel with its weights: Backbone -> GraphSource.

    Raises:
      UsageError: the user does not trust it, or does not say what it takes; it has a wrong sha256; it does not give one
        vector per image.
    """
    if not backbone.trust_saved_model:
        raise UsageError(
            f"--weights {backbone.weights} is a SavedModel, a program that can do anything; "
            "add --trust_saved_model if you know who made it"
        )
    if backbone.layer or backbone.pooling != "avg":
        raise UsageError(
            f"--weights {backbone.weights} is a SavedModel, whose output is its own; drop --layer, --pooling"
        )
    if not backbone.preprocess:
        raise UsageError(
            f"--weights {backbone.weights} is a SavedModel, which does not say what it takes; "
            f"add --preprocess: {CHOICES}"
        )
    with local_copy(backbone.weights, lambda folder: check_sha256(folder, backbone)) as folder:
        weights_sha256 = sha256_of_files(folder)
        try:
            loaded = tf.saved_model.load(folder)
            signature = loaded.signatures["serving_default"]
            (argument,), (result,) = signature.structured_input_signature[1], signature.structured_outputs
        except Exception as e:
            # A broken SavedModel raises nearly anything: OSError, KeyError, IndexError, TensorFlow's own errors.
            why = f"{one_line(e)}; it needs a serving_default of one input and one output"
            raise UsageError(f"--weights {backbone.weights} cannot be used as a SavedModel: {why}") from e
    check_values(variables_of(v for v in signature.variables if v.dtype.is_floating), backbone.weights)
    constant = _frozen(signature, backbone) if ENGINES[backbone.engine].reads_names else None
    own = backbone.preprocess == OWN_PREPROCESSING
    preprocess = preprocess_of(backbone.name) if own else parse(backbone.preprocess)

    def function(pixels: Any) -> Any:
        x = preprocess(pixels)
        return tf.nest.flatten(constant(x))[0] if constant else signature(**{argument: x})[result]

    dim = width_of(signature.structured_outputs[result].shape, backbone)
    return GraphSource(lambda: WeightsFacts(dim, weights_sha256), lambda: (function, loaded))


def _frozen(signature: Any, backbone: Backbone) -> Any:
    """Turn the variables into constants: an engine that finds variables by name would mix up those that share one."""
    size = sum(int(np.prod(v.shape)) * v.dtype.size for v in signature.variables)
    if size > LARGEST_CONSTANTS:
        raise UsageError(
            f"--weights {backbone.weights} is too large for --engine {backbone.engine}; use --engine tensorflow"
        )
    return convert_variables_to_constants_v2(signature)
