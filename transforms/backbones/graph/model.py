"""Build a backbone's Keras model with its weights, up to the requested output."""

import inspect
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from transforms.backbones.backbone import Backbone, KerasModel, WeightsFacts
from transforms.backbones.engines import dtype_policy
from transforms.backbones.graph.keras_applications import constructor, keras, preprocess_of
from transforms.backbones.graph.source import GraphSource, TensorFunction, check_pooling, width_of
from transforms.backbones.rewrites import rewrite
from transforms.backbones.rewrites.variables import of_one_name
from transforms.backbones.weights.files import load_file
from transforms.backbones.weights.keras_download import keras_download
from transforms.backbones.weights.values import check_values, sha256_of_values, variables_of
from transforms.core.errors import UsageError, did_you_mean, one_line
from transforms.core.spec import OWN_PREPROCESSING

SEED = 0
"""Seed of random weights."""
POOLED = "pooled_to_one_vector"
"""Name of the layer that pools: by itself, Keras would name it as a layer may be named that a file describes."""


def keras_source(backbone: Backbone) -> GraphSource:
    """Build a Keras backbone with its weights: Backbone -> GraphSource.

    Raises:
      UsageError: as `build_model`, or the output is not one vector per image, or another preprocessing than the
        backbone's own is asked for.
    """
    if backbone.preprocess not in ("", OWN_PREPROCESSING):
        raise UsageError(
            f"--preprocess {backbone.preprocess} is for a whole --model: {backbone.name} has a preprocessing of its "
            "own; drop the flag"
        )
    found = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype_policy(backbone.engine, backbone.precision))
    try:
        with of_one_name():
            model, found_in = build_model(backbone)
    finally:
        keras.config.set_dtype_policy(found)
    dim = width_of(model.output_shape, backbone)

    def prepare() -> tuple[TensorFunction, Any]:
        return rewrite(model, preprocess_of(backbone.name), backbone)

    def facts() -> WeightsFacts:
        check_values(variables_of(model.weights), backbone)
        return WeightsFacts(dim, sha256_of_values(model), found_in=found_in)

    return GraphSource(facts, prepare)


def build_model(backbone: Backbone) -> tuple[KerasModel, str]:
    """Build the architecture and fill it with weights; random ones are seeded: Backbone -> keras.Model, `found_in`.

    The model takes what its `preprocess_input` gives, float32 [B, H, W, 3]; `found_in` is as in `WeightsFacts`.

    Raises:
      UsageError: Keras refuses an argument, or the weights cannot be read or do not fit.
    """
    build = constructor(backbone.name)
    known = inspect.signature(build).parameters
    for key in backbone.backbone_kwargs:
        if key not in known:
            raise UsageError(f"{backbone.name} has no argument {key!r}{did_you_mean(key, known)}")
    pooled = not (backbone.include_top or backbone.layer or backbone.pooling == "flatten")
    arguments = {
        **backbone.backbone_kwargs,
        "include_top": backbone.include_top,
        "input_shape": (*backbone.size, 3),
        "pooling": backbone.pooling if pooled else None,
    }
    if backbone.include_top:
        arguments["classifier_activation"] = backbone.classifier_activation
    found_in = ""
    try:
        if backbone.weights == "imagenet":
            with keras_download(f"the ImageNet weights of {backbone.name}", "use --weights random or --weights FILE"):
                model = build(weights="imagenet", **arguments)
        else:
            model = _seeded(lambda: build(weights=None, **arguments))
            if backbone.weights != "random":
                # Before the model is cut: Keras counts a file's layers, so those of a part would get wrong weights.
                found_in = load_file(model, backbone)
        return _output(model, backbone), found_in
    except (ValueError, TypeError) as e:
        if isinstance(e, UsageError):
            raise
        raise UsageError(f"Keras cannot build {backbone.name} like this: {one_line(e)}") from e


def _seeded(build: Callable[[], KerasModel]) -> KerasModel:
    states = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(SEED)
    try:
        return build()
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _output(model: KerasModel, backbone: Backbone) -> KerasModel:
    if backbone.layer:
        output = layer_output(model, backbone.layer, backbone.name)
    elif backbone.pooling != "flatten" or backbone.include_top:
        return model
    else:
        output = model.output
    return keras.Model(model.input, pooled(output, backbone))


def layer_output(model: KerasModel, layer: str, name: str) -> Any:
    """Return the output of a model's layer, a tensor of Keras.

    Args:
      model: the model, a keras.Model.
      layer: the layer's name.
      name: what the message calls the model.

    Raises:
      UsageError: there is no such layer.
    """
    names = [one.name for one in model.layers]
    if layer not in names:
        hint = did_you_mean(layer, names) or f"; the last ones are {', '.join(names[-3:])}"
        raise UsageError(f"{name} has no layer {layer!r}{hint}")
    return model.get_layer(layer).output


def pooled(output: Any, backbone: Backbone) -> Any:
    """Make one vector an image of a layer's output: [B, H, W, D], [B, T, D] or [B, ...] -> [B, D].

    Args:
      output: a tensor of Keras; what is neither a map nor tokens is flattened.
      backbone: the backbone, whose pooling is taken.

    Raises:
      UsageError: it is a map, of which the first token is asked for.
    """
    pooling = backbone.pooling
    check_pooling(len(output.shape), backbone)
    if pooling == "cls" and len(output.shape) == 3:
        return output[:, 0]
    layers = {
        ("avg", 3): keras.layers.GlobalAveragePooling1D,
        ("max", 3): keras.layers.GlobalMaxPooling1D,
        ("avg", 4): keras.layers.GlobalAveragePooling2D,
        ("max", 4): keras.layers.GlobalMaxPooling2D,
    }
    return layers.get((pooling, len(output.shape)), keras.layers.Flatten)(name=POOLED)(output)
