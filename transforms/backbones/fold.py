"""Take work out of a model that need not be done for each image."""

import collections
from typing import Any

import numpy as np

from transforms.backbones.keras_applications import keras

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


def fold(model: Any) -> Any:
    """Let convolutions do what the layers around them do: keras.Model -> keras.Model, equal numbers.

    At inference a batch normalization is x * scale + shift, and so goes into the kernel and the bias of the convolution
    before it. TensorFlow then runs convolution, bias and activation as one operation, without the weights having to be
    constants of the graph. Zeros around an image, which are a copy of it, are the convolution's own padding where they
    are those of 'same'.
    """
    reads = _reads(model)
    normalizations = {a.name: b for a, b in reads if type(b) is keras.layers.BatchNormalization and _foldable(a, b)}
    paddings = {b.name: a for a, b in reads if type(a) is keras.layers.ZeroPadding2D and _is_same(a, b)}
    passed = {layer.name for layer in (*normalizations.values(), *paddings.values())}

    def clone(layer: Any) -> Any:
        if layer.name in normalizations or layer.name in paddings:
            return _folded(layer, normalizations.get(layer.name), paddings.get(layer.name))
        return layer

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return args[0] if layer.name in passed else layer(*args, **kwargs)

    return keras.models.clone_model(model, clone_function=clone, call_function=call)


def _reads(model: Any) -> list[tuple[Any, Any]]:
    """Return the pairs of layers, each called once, of which the second alone sees what the first gives."""
    nodes = [node for operation in model.operations for node in operation._inbound_nodes]
    read = [tensor for node in nodes for tensor in node.input_tensors]
    uses = collections.Counter(id(tensor) for tensor in (*read, *model.outputs))
    once = [x for x in model.layers if len(x._inbound_nodes) == 1]
    by_output = {id(x.output): x for x in once if isinstance(x.output, keras.KerasTensor) and uses[id(x.output)] == 1}
    return [(by_output[id(x.input)], x) for x in once if id(x.input) in by_output]


def _foldable(convolution: Any, normalization: Any) -> bool:
    if type(convolution) not in CONVOLUTIONS or convolution.activation is not keras.activations.linear:
        return False
    return normalization.axis in (-1, 3)


def _is_same(padding: Any, convolution: Any) -> bool:
    """Whether zeros are those that TensorFlow puts there for 'same', see tf.nn.convolution."""
    if type(convolution) not in CONVOLUTIONS or convolution.padding != "valid":
        return False
    same = []
    for size, kernel, stride, dilation in zip(
        padding.input.shape[1:3], convolution.kernel_size, convolution.strides, convolution.dilation_rate, strict=True
    ):
        zeros = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
        same.append((zeros // 2, zeros - zeros // 2))
    return tuple(same) == tuple(padding.padding)


def _folded(convolution: Any, normalization: Any, padding: Any) -> Any:
    config = convolution.get_config()
    config["use_bias"] = config["use_bias"] or bool(normalization)
    config["padding"] = "same" if padding else config["padding"]
    # Its weights are set below; random ones took half of the time.
    config.update({key: "zeros" for key in config if key.endswith("_initializer")})
    folded = type(convolution).from_config(config)
    folded.build((padding or convolution).input.shape)
    folded.set_weights(_weights(convolution, normalization) if normalization else convolution.get_weights())
    return folded


def _weights(convolution: Any, normalization: Any) -> list[Any]:
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
    return [*before, kernel * by_channel, (bias - mean) * scale + shift]
