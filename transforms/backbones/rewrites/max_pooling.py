"""Max pooling of an image with zeros around it, without making a padded copy."""

from typing import Any

from transforms.backbones.graph.keras_applications import keras
from transforms.core.tensorflow_setup import tf


class PaddedMaxPooling2D(keras.layers.Layer):  # type: ignore[misc]
    """Do the work of zero padding and max pooling: float32 [B, H, W, C], none negative -> [B, H', W', C].

    Args:
      padding: a keras.layers.ZeroPadding2D.
      pooling: a keras.layers.MaxPooling2D with padding 'valid', whose windows all see more than zeros.
    """

    def __init__(self, padding: Any, pooling: Any):
        super().__init__(name=pooling.name)
        self._size, self._strides = pooling.pool_size, pooling.strides
        self._padding = [[0, 0], *padding.padding, [0, 0]]

    def call(self, x: Any) -> Any:
        return tf.nn.max_pool2d(x, self._size, self._strides, self._padding)
