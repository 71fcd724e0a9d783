"""Take work out of a model that need not be done for each image."""

import collections
from typing import Any

from transforms.backbones.keras_applications import keras


def fold_biases(model: Any) -> None:
    """Move the bias of each convolution into the batch normalization behind it: keras.Model, changed in place.

    (x + bias) - mean = x - (mean - bias). Without a bias between them TensorFlow makes one operation of both: a tenth
    of ResNet50's time less.
    """
    tensors = [tensor for layer in model.layers for tensor in keras.tree.flatten(layer.input)]
    uses = collections.Counter(id(tensor) for tensor in (*tensors, *model.outputs))
    convolutions = {id(layer.output): layer for layer in model.layers if type(layer) is keras.layers.Conv2D}
    for layer in model.layers:
        if not isinstance(layer, keras.layers.BatchNormalization):
            continue
        before = convolutions.get(id(layer.input))
        linear = before is not None and before.activation is keras.activations.linear
        if linear and before.use_bias and uses[id(layer.input)] == 1:
            layer.moving_mean.assign(layer.moving_mean - before.bias)
            before.use_bias = False
