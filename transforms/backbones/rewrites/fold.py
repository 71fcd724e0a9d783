"""Remove work from a model that need not be done for each image: normalizations, paddings, preprocessing."""

import collections
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from transforms.backbones.backbone import KerasModel
from transforms.backbones.graph.keras_applications import keras
from transforms.backbones.rewrites.max_pooling import PaddedMaxPooling2D

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


class Folded(NamedTuple):
    """A folded model, and what is left of its preprocessing."""

    model: KerasModel
    preprocess: Callable[[Any], Any]


def fold(
    model: KerasModel,
    preprocess: Callable[[Any], Any] = lambda x: x,
    faster: Callable[[Any], Any] = lambda layer: layer,
) -> Folded:
    """Fold steps into the layers beside them: keras.Model -> Folded, whose parts together give equal numbers.

    - A batch normalization is x * scale + shift at inference, and so goes into the kernel and bias of the convolution
      before it. TensorFlow then runs convolution, bias and activation as one operation.
    - Zero padding makes a copy of the image. Where it equals the padding 'same', it becomes the convolution's own;
      before a max pooling of values that are not negative, it becomes the pooling's.
    - Preprocessing is a mix of the channels and a shift. The mix goes into the kernel of the first convolution; the
      shift stays, since padding is not shifted.

    Args:
      model: as Keras built it.
      preprocess: preprocessing of the pixels, float [B, H, W, 3] -> [B, H, W, 3].
      faster: function, convolution -> a layer that does the same faster, or the convolution itself.
    """
    reads = _reads(model)
    readers = {a.name: b for a, b in reads}
    normalizations = {a.name: b for a, b in reads if type(b) is keras.layers.BatchNormalization and _foldable(a, b)}
    paddings = {b.name: a for a, b in reads if type(a) is keras.layers.ZeroPadding2D and _is_same(a, b)}
    poolings = {readers[b.name].name: b for a, b in reads if _is_relu(a) and _is_pooled(b, readers.get(b.name))}
    passed = {x.name for x in (*normalizations.values(), *paddings.values(), *poolings.values())}
    mixing, shift = _affine(preprocess)
    mixes = not np.array_equal(mixing, np.eye(3))
    first = _first_convolution(model, readers) if mixes else None

    def clone(layer: Any) -> Any:
        if layer.name in poolings:
            return PaddedMaxPooling2D(poolings[layer.name], layer)
        if layer is first or layer.name in normalizations or layer.name in paddings:
            before = mixing if layer is first else None
            layer = _folded(layer, normalizations.get(layer.name), paddings.get(layer.name), before)
        return faster(layer)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return args[0] if layer.name in passed else layer(*args, **kwargs)

    folded = keras.models.clone_model(model, clone_function=clone, call_function=call)
    if first is None:
        return Folded(folded, preprocess)
    # TensorFlow adds a whole row in a third of the time that it takes to add to the channels of each pixel.
    row = np.tile(shift, (model.input_shape[2], 1))
    return Folded(folded, lambda x: x + row)


def _reads(model: KerasModel) -> list[tuple[Any, Any]]:
    """Return pairs of layers, each called once, of which only the second reads the output of the first."""
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
    """Whether a padding equals that of 'same', see tf.nn.convolution."""
    if type(convolution) not in CONVOLUTIONS or convolution.padding != "valid":
        return False
    same = []
    for size, kernel, stride, dilation in zip(
        padding.input.shape[1:3], convolution.kernel_size, convolution.strides, convolution.dilation_rate, strict=True
    ):
        zeros = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
        same.append((zeros // 2, zeros - zeros // 2))
    return tuple(same) == tuple(padding.padding)


def _is_relu(layer: Any) -> bool:
    """Whether a layer never gives a negative value."""
    if type(layer) is keras.layers.ReLU:
        return not layer.negative_slope
    return getattr(layer, "activation", None) is keras.activations.relu


def _is_pooled(padding: Any, pooling: Any) -> bool:
    """Whether a max pooling follows a zero padding, and each of its windows sees more than zeros."""
    if type(padding) is not keras.layers.ZeroPadding2D or type(pooling) is not keras.layers.MaxPooling2D:
        return False
    narrow = all(max(zeros) < size for zeros, size in zip(padding.padding, pooling.pool_size, strict=True))
    return narrow and pooling.padding == "valid"


def _first_convolution(model: KerasModel, readers: dict[str, Any]) -> Any:
    """Return the only convolution that reads the input, padded or not; None if there is none."""
    first: Any = next((x for x in model.layers if type(x) is keras.layers.InputLayer), None)
    while type(first) in (keras.layers.InputLayer, keras.layers.ZeroPadding2D):
        first = readers.get(first.name)
    return first if type(first) is keras.layers.Conv2D and first.groups == 1 else None


def _affine(preprocess: Callable[[Any], Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return mixing and shift so that preprocessing is (x + shift) @ mixing: float64 [3, 3], float32 [3]."""
    of_black, *of_primaries = np.asarray(preprocess(np.vstack([np.zeros(3), np.eye(3)])[:, None, None]))[:, 0, 0]
    mixing = np.array(of_primaries) - of_black
    return mixing, (of_black @ np.linalg.inv(mixing)).astype(np.float32)


def _folded(convolution: Any, normalization: Any, padding: Any, mixing: np.ndarray | None) -> Any:
    config = convolution.get_config()
    config["use_bias"] = config["use_bias"] or bool(normalization)
    config["padding"] = "same" if padding else config["padding"]
    # The weights are set below; making random ones first took half of the time.
    config.update({key: "zeros" for key in config if key.endswith("_initializer")})
    folded = type(convolution).from_config(config)
    folded.build((padding or convolution).input.shape)
    weights = _weights(convolution, normalization) if normalization else convolution.get_weights()
    folded.set_weights(weights if mixing is None else [mixing @ weights[0], *weights[1:]])
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
    # A depthwise kernel ends in [channels, multiplier], whose product is its number of output channels.
    by_channel = scale.reshape(kernel.shape[2:]) if type(convolution) is keras.layers.DepthwiseConv2D else scale
    return [*before, kernel * by_channel, (bias - mean) * scale + shift]
