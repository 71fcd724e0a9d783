"""Take work out of a model that need not be done for each image."""

import collections
from typing import Any

import numpy as np

from transforms.backbones.keras_applications import keras

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


def fold_normalizations(model: Any) -> Any:
    """Let each convolution do what the batch normalization behind it does: keras.Model -> keras.Model, equal numbers.

    At inference a batch normalization is x * scale + shift, and so goes into the kernel and the bias. TensorFlow then
    runs convolution, bias and activation as one operation, without the weights having to be constants of the graph.
    """
    normalizations = _behind_convolutions(model)
    passed = {layer.name for layer in normalizations.values()}

    def clone(layer: Any) -> Any:
        return _with_bias(layer, normalizations[layer.name]) if layer.name in normalizations else layer

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return args[0] if layer.name in passed else layer(*args, **kwargs)

    return keras.models.clone_model(model, clone_function=clone, call_function=call)


def _behind_convolutions(model: Any) -> dict[str, Any]:
    """Return the batch normalizations that alone see what a convolution gives, by the convolution's name."""
    nodes = [node for operation in model.operations for node in operation._inbound_nodes]
    read = [tensor for node in nodes for tensor in node.input_tensors]
    uses = collections.Counter(id(tensor) for tensor in (*read, *model.outputs))
    once = [x for x in model.layers if len(x._inbound_nodes) == 1]
    linear = [x for x in once if type(x) in CONVOLUTIONS and x.activation is keras.activations.linear]
    convolutions = {id(layer.output): layer.name for layer in linear if uses[id(layer.output)] == 1}
    layers = [x for x in once if type(x) is keras.layers.BatchNormalization and x.axis in (-1, 3)]
    return {convolutions[id(layer.input)]: layer for layer in layers if id(layer.input) in convolutions}


def _with_bias(convolution: Any, normalization: Any) -> Any:
    weights = convolution.get_weights()
    bias = weights.pop() if convolution.use_bias else 0
    *before, kernel = weights
    mean, variance = np.asarray(normalization.moving_mean), np.asarray(normalization.moving_variance)
    scale = 1 / np.sqrt(variance + normalization.epsilon)
    if normalization.scale:
        scale = scale * np.asarray(normalization.gamma)
    shift = np.asarray(normalization.beta) if normalization.center else 0
    # A depthwise kernel ends in [channels, multiplier], which together are the channels that it gives.
    by_channel = scale.reshape(kernel.shape[2:]) if type(convolution) is keras.layers.DepthwiseConv2D else scale
    folded = type(convolution).from_config({**convolution.get_config(), "use_bias": True})
    folded.build(convolution.input.shape)
    folded.set_weights([*before, kernel * by_channel, (bias - mean) * scale + shift])
    return folded
