"""A whole `.keras` model as a backbone: built here of Keras' own layers, filled with the file's weights."""

import contextlib
import copy
import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from transforms.backbones.backbone import Backbone, KerasModel, WeightsFacts
from transforms.backbones.engines import dtype_policy
from transforms.backbones.graph.keras_applications import keras, without_values
from transforms.backbones.graph.model import layer_output, pooled
from transforms.backbones.graph.source import GraphSource, TensorFunction, width_of
from transforms.backbones.own.keras_config import read_config
from transforms.backbones.preprocessing import parse
from transforms.backbones.rewrites import rewrite
from transforms.backbones.rewrites.flatten import flat
from transforms.backbones.rewrites.variables import of_one_name
from transforms.backbones.weights.containers import MAX_INFLATION
from transforms.backbones.weights.files import load_whole, own_file
from transforms.backbones.weights.values import check_values, sha256_of_values, variables_of
from transforms.core.errors import UsageError, one_line

CLASSIFIERS = {"classification_head", "classifier", "logits", "predictions"}
"""Names that Keras and Keras Hub give to the layer of the classes."""
_SCORES = (keras.activations.softmax, keras.activations.sigmoid)


class Output(NamedTuple):
    """The output of a whole model that is the embedding.

    Attributes:
      model: the model up to it.
      layer: the layer that gives it; '' for the model's own.
      why: what was left off, in words; '' if nothing.
    """

    model: KerasModel
    layer: str = ""
    why: str = ""


def keras_model_source(backbone: Backbone) -> GraphSource:
    """Build a whole model with its weights: Backbone -> GraphSource.

    Raises:
      UsageError: something in the file is not known, it would take more memory than its weights, they do not fit, or
        the output is not one vector an image.
    """
    policy = dtype_policy(backbone.engine, backbone.precision)
    with own_file(backbone) as local:
        config, num_bytes = read_config(local, backbone)
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
        config = _of_policy(config, policy)
        with _building(backbone):
            _refuse_larger(config, num_bytes, backbone)
            whole = _built(config)
        load_whole(whole, local, backbone)
    with _building(backbone):
        of_one_level, rescale = flat(whole, backbone.size)
        model, layer, why = _output(of_one_level, backbone)
    dim = width_of(model.output_shape, backbone)

    preprocess = parse(backbone.preprocess)

    def prepare() -> tuple[TensorFunction, Any]:
        return rewrite(model, lambda x: rescale(preprocess(x)), backbone)

    def facts() -> WeightsFacts:
        check_values(variables_of(model.weights), backbone)
        digest.update(sha256_of_values(whole).encode())
        return WeightsFacts(dim, digest.hexdigest(), layer, why)

    return GraphSource(facts, prepare)


@contextlib.contextmanager
def _building(backbone: Backbone) -> Iterator[None]:
    """Say in one line what Keras makes of a model that it cannot build, for which it raises nearly anything."""
    try:
        with of_one_name():
            yield
    except UsageError:
        raise
    except Exception as e:
        raise UsageError(f"Keras cannot build {backbone.given_as}: {one_line(e)}") from e


def _built(config: dict[str, Any]) -> KerasModel:
    # Keras changes what it is given.
    return keras.saving.deserialize_keras_object(copy.deepcopy(config), safe_mode=True)


def _refuse_larger(config: dict[str, Any], num_bytes: int, backbone: Backbone) -> None:
    """Refuse an architecture of more weights than the file can hold, before they are made."""
    with without_values():
        model = _built(config)
        needed = 4 * model.count_params()
    if needed > MAX_INFLATION * num_bytes:
        raise UsageError(f"{backbone.given_as} has layers of {needed} bytes, and weights of {num_bytes}")


def _of_policy(config: Any, policy: str) -> Any:
    """Return a config whose layers compute by a dtype policy, whatever they were trained by."""
    if isinstance(config, list):
        return [_of_policy(value, policy) for value in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return {**config, "config": {"name": policy}}
    own = config.get("config")
    if isinstance(own, dict) and isinstance(own.get("dtype"), str) and config.get("class_name") != "InputLayer":
        # As older files say it.
        config = {**config, "config": {**own, "dtype": policy}}
    return {key: _of_policy(value, policy) for key, value in config.items()}


def _output(model: KerasModel, backbone: Backbone) -> Output:
    """Return the model up to the layer that is asked for, or else to the last one that does not classify; pooled."""
    if backbone.layer:
        tensor, layer, why = layer_output(model, backbone.layer, backbone.given_as), backbone.layer, ""
    elif len(model.outputs) != 1:
        raise UsageError(f"{backbone.given_as} has {len(model.outputs)} outputs; choose one with --layer")
    else:
        (tensor,) = model.outputs
        tensor, layer, why = _before_the_classifier(tensor)
    return Output(keras.Model(model.inputs, pooled(tensor, backbone)), layer, why)


def _before_the_classifier(tensor: Any) -> tuple[Any, str, str]:
    """Return the tensor that the last layers classify, the layer that gives it, and what was left off."""
    left_off = []
    last = _maker(tensor)
    if isinstance(last, (keras.layers.Activation, keras.layers.Softmax)) and _gives_scores(last):
        left_off.append(last)
        last = _maker(last.input)
    if isinstance(last, keras.layers.Dense) and (left_off or _gives_scores(last) or last.name in CLASSIFIERS):
        left_off.append(last)
    if not left_off:
        return tensor, "", ""
    tensor = left_off[-1].input
    why = " and ".join(f"{x.name} ({_kind(x)})" for x in reversed(left_off))
    return tensor, _maker(tensor).name, why


def _maker(tensor: Any) -> Any:
    return tensor._keras_history.operation


def _gives_scores(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Softmax) or getattr(layer, "activation", None) in _SCORES


def _kind(layer: Any) -> str:
    activation = getattr(getattr(layer, "activation", None), "__name__", "")
    return activation if activation in ("softmax", "sigmoid") else type(layer).__name__
