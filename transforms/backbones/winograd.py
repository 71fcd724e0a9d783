"""Convolve by fewer multiplications: Winograd's minimal filtering, F(4 x 4, 3 x 3).

4 x 4 results of a kernel of 3 x 3 take 36 multiplications for each pair of channels, instead of 144. TensorFlow and
OpenVINO do not convolve like this on a processor; on a GPU, TensorFlow's cuDNN does by itself.
"""

from typing import Any

import numpy as np

from transforms.backbones.keras_applications import keras

TILE, WINDOW = 4, 6
"""Rows of results that are computed at once, and the rows that they are computed of."""

OF_IMAGE = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
OF_KERNEL = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
OF_RESULT = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])
"""B^T, G and A^T of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, arXiv:1509.09308."""

CHANNELS, FILTERS = 64, 128
"""The fewest of an image and of a kernel: below, the transforms cost more than they save (48 to 512 were measured)."""


def winograd(model: Any) -> Any:
    """Convolve like this wherever it is faster: keras.Model -> keras.Model, numbers equal up to rounding."""
    if not any(_gains(layer) for layer in model.layers):
        return model
    return keras.models.clone_model(
        model, clone_function=lambda layer: WinogradConv2D(layer) if _gains(layer) else layer
    )


def _gains(layer: Any) -> bool:
    if type(layer) is not keras.layers.Conv2D or layer.kernel_size != (3, 3):
        return False
    if layer.strides != (1, 1) or layer.dilation_rate != (1, 1) or layer.groups != 1:
        return False
    _, height, width, channels = layer.get_build_config()["input_shape"]
    # A transform costs each row as much as there are rows, and saves it as much as there are filters.
    return bool(channels >= CHANNELS and layer.filters >= max(FILTERS, 2 * height, 2 * width))


class WinogradConv2D(keras.layers.Layer):  # type: ignore[misc]
    """Do the work of a convolution of 3 x 3: float32 [B, H, W, C] -> float32 [B, H', W', K].

    Args:
      convolution: a built keras.layers.Conv2D without strides, dilation and groups.
    """

    def __init__(self, convolution: Any):
        super().__init__(name=convolution.name)
        self._activation = convolution.activation
        self._padding = 1 if convolution.padding == "same" else 0
        kernel = np.asarray(convolution.kernel, np.float64)
        by_rows = np.tensordot(OF_KERNEL, kernel, 1)
        transformed = np.tensordot(OF_KERNEL, by_rows, (1, 1)).swapaxes(0, 1).reshape(WINDOW**2, *kernel.shape[2:])
        self._kernel = self._weight("kernel", transformed)
        self._bias = self._weight("bias", np.asarray(convolution.bias)) if convolution.use_bias else None

    def _weight(self, name: str, value: np.ndarray) -> Any:
        weight = self.add_weight(shape=value.shape, initializer="zeros", name=name)
        weight.assign(value)
        return weight

    def call(self, x: Any) -> Any:
        ops, (height, width, channels), filters = keras.ops, x.shape[1:], self._kernel.shape[2]
        rows, columns = _of_side(height, self._padding), _of_side(width, self._padding)
        down, across = len(rows) // WINDOW, len(columns) // WINDOW
        windows = ops.matmul(rows, ops.reshape(x, [-1, height, width * channels]))
        windows = ops.matmul(columns, ops.reshape(windows, [-1, width, channels]))
        windows = ops.transpose(ops.reshape(windows, [-1, WINDOW, down, WINDOW, across, channels]), [1, 3, 0, 2, 4, 5])
        products = ops.matmul(ops.reshape(windows, [WINDOW**2, -1, channels]), self._kernel)
        tiles = ops.matmul(np.kron(OF_RESULT, OF_RESULT).astype(np.float32), ops.reshape(products, [WINDOW**2, -1]))
        tiles = ops.transpose(ops.reshape(tiles, [TILE, TILE, -1, down, across, filters]), [2, 3, 0, 4, 1, 5])
        beyond = 2 * self._padding - 2
        whole = ops.reshape(tiles, [-1, TILE * down, TILE * across, filters])
        results = whole[:, : height + beyond, : width + beyond]
        return self._activation(results if self._bias is None else results + self._bias)


def _of_side(size: int, padding: int) -> np.ndarray:
    """Return what makes the transformed windows of all tiles of the rows of an image: float32 [6 x tiles, rows]."""
    tiles = -(-(size + 2 * padding - 2) // TILE)
    transform = np.zeros((WINDOW, tiles, TILE * tiles + 2), np.float32)
    for tile in range(tiles):
        transform[:, tile, TILE * tile : TILE * tile + WINDOW] = OF_IMAGE
    return transform[:, :, padding : padding + size].reshape(WINDOW * tiles, size)
