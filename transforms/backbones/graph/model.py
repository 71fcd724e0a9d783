"""Build a backbone's Keras model with its weights, up to the output that was asked for."""

import inspect
import random
from typing import Any

import numpy as np

from transforms.backbones.backbone import Backbone
from transforms.backbones.graph.keras_applications import constructor, keras
from transforms.backbones.weights.files import keras_download, load_file
from transforms.core.errors import UsageError, did_you_mean, one_line

SEED = 0


def build_model(backbone: Backbone) -> Any:
    """Build the architecture and fill it with weights, random ones seeded: Backbone -> keras.Model.

    The model takes what its `preprocess_input` gives, float32 [B, H, W, 3].

    Raises:
      UsageError: Keras refuses an argument, or the weights cannot be had or do not fit.
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
    try:
        if backbone.weights == "imagenet":
            with keras_download(f"the ImageNet weights of {backbone.name}", "use --weights random or --weights FILE"):
                model = build(weights="imagenet", **arguments)
        else:
            model = _seeded(lambda: build(weights=None, **arguments))
            if backbone.weights != "random":
                # Before it is cut: Keras counts a file's layers, and those of a part would get each other's weights.
                load_file(model, backbone)
        return _output(model, backbone)
    except (ValueError, TypeError) as e:
        if isinstance(e, UsageError):
            raise
        raise UsageError(f"Keras cannot build {backbone.name} like this: {one_line(e)}") from e


def _seeded(build: Any) -> Any:
    states = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(SEED)
    try:
        return build()
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _output(model: Any, backbone: Backbone) -> Any:
    if backbone.layer:
        names = [layer.name for layer in model.layers]
        if backbone.layer not in names:
            hint = did_you_mean(backbone.layer, names) or f"; the last ones are {', '.join(names[-3:])}"
            raise UsageError(f"{backbone.name} has no layer {backbone.layer!r}{hint}")
        model = keras.Model(model.input, model.get_layer(backbone.layer).output)
    elif backbone.pooling != "flatten" or backbone.include_top:
        return model
    output = model.output
    if backbone.pooling == "flatten" or len(output.shape) != 4:
        output = keras.layers.Flatten()(output)
    elif backbone.pooling == "avg":
        output = keras.layers.GlobalAveragePooling2D()(output)
    else:
        output = keras.layers.GlobalMaxPooling2D()(output)
    return keras.Model(model.input, output)
