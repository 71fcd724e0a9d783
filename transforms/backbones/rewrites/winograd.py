"""Convolve with fewer multiplications: Winograd's minimal filtering, F(m x m, 3 x 3).

For each pair of channels, a tile of 4 x 4 results of a 3 x 3 kernel takes 36 multiplications instead of 144, and one of
7 x 7, into which the maps of most backbones divide, 81 instead of 441. TensorFlow and OpenVINO do not convolve like
this on a processor; on a GPU, cuDNN does by itself.
"""

from typing import Any

import numpy as np

from transforms.backbones.graph.keras_applications import keras

SMALLEST, LARGEST = 4, 7
"""Rows of a tile: the results that are computed at once."""

POINTS = (0, 1, -1, 1 / 2, -1 / 2, 3 / 2, -3 / 2, 3)
"""Where the polynomials are evaluated; a tile of m rows takes the first m + 1.

Results differ from exact ones by 2 parts in a million for 4 rows and by 14 for 7 (root mean square), half of what the
usual points, powers of two, give.
"""

TILES = 4
"""Minimum tiles of an image: with fewer, reading the kernels from memory would cost more than they save."""

CHANNELS, FILTERS = 64, 128
"""Minimum of a layer: below, the transforms cost more than they save (48 to 512 were measured)."""


def winograd(layer: Any) -> Any:
    """Return a layer that convolves this way if that is faster, else the layer itself."""
    return WinogradConv2D(layer) if _gains(layer) else layer


def _gains(layer: Any) -> bool:
    if type(layer) is not keras.layers.Conv2D or layer.kernel_size != (3, 3):
        return False
    if layer.strides != (1, 1) or layer.dilation_rate != (1, 1) or layer.groups != 1:
        return False
    _, height, width, channels = layer.get_build_config()["input_shape"]
    # For each row, a transform costs in proportion to the rows, and saves in proportion to the filters.
    return bool(channels >= CHANNELS and layer.filters >= max(FILTERS, 2 * height, 2 * width))


def cook_toom(tile: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return B^T, G and A^T of F(tile, 3): float64 [tile + 2, tile + 2], [tile + 2, 3] and [tile, tile + 2].

    For the Cook-Toom algorithm see Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015,
    arXiv:1509.09308; for the points see Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd
    Convolution for Deep Neural Networks", 2018, arXiv:1803.10986.
    """
    points = np.array(POINTS[: tile + 1])
    # The last row or column of each belongs to the point at infinity.
    of_image = np.zeros((tile + 2, tile + 2))
    for i in range(len(points)):
        of_image[i, :-1] = np.poly(np.delete(points, i))[::-1]
    of_image[-1] = np.poly(points)[::-1]
    distances = np.prod(points[:, None] - points + np.eye(len(points)), axis=1, keepdims=True)
    of_kernel = np.vstack([np.vander(points, 3, increasing=True) / distances, np.eye(3)[2]])
    of_result = np.vstack([np.vander(points, tile, increasing=True), np.eye(tile)[-1]]).T
    return of_image, of_kernel, of_result


def choose_tile(height: int, width: int) -> int:
    """Return the rows of the tile that takes the fewest multiplications for `height` x `width` results."""

    def tiles(tile: int) -> int:
        return -(-height // tile) * -(-width // tile)

    fitting = [tile for tile in range(SMALLEST, LARGEST + 1) if tiles(tile) >= TILES]
    return min(fitting, key=lambda tile: tiles(tile) * (tile + 2) ** 2, default=SMALLEST)


class WinogradConv2D(keras.layers.Layer):  # type: ignore[misc]
    """Do the work of a 3 x 3 convolution: float32 [B, H, W, C] -> float32 [B, H', W', K].

    Args:
      convolution: a built keras.layers.Conv2D without strides, dilation or groups.
    """

    def __init__(self, convolution: Any):
        super().__init__(name=convolution.name)
        self._activation = convolution.activation
        self._beyond = 1 if convolution.padding == "same" else 0
        _, *self._sides, _ = convolution.get_build_config()["input_shape"]
        self._results = [side + 2 * self._beyond - 2 for side in self._sides]
        self._tile = choose_tile(*self._results)
        self._of_image, of_kernel, of_result = cook_toom(self._tile)
        self._of_result = of_result.astype(np.float32)
        # Computed in TensorFlow: a NumPy kernel would be copied twice on its way there.
        kernel, of_both = convolution.kernel, np.kron(of_kernel, of_kernel).astype(np.float32)
        by_position = keras.ops.matmul(of_both, keras.ops.reshape(kernel, [9, -1]))
        self._kernel = self._weight("kernel", keras.ops.reshape(by_position, [-1, *kernel.shape[2:]]))
        self._bias = self._weight("bias", convolution.bias) if convolution.use_bias else None

    def _weight(self, name: str, value: Any) -> Any:
        return self.add_weight(shape=value.shape, initializer=lambda _, dtype: keras.ops.cast(value, dtype), name=name)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the results, for which Keras would otherwise trace the layer."""
        return (input_shape[0], *self._results, self._kernel.shape[-1])

    def call(self, x: Any) -> Any:
        ops, tile, window, (height, width) = keras.ops, self._tile, self._tile + 2, self._sides
        positions, channels, filters = self._kernel.shape
        rows, columns = self._of_side(0), self._of_side(1)
        down, across = len(rows) // window, len(columns) // window
        windows = ops.matmul(rows, ops.reshape(x, [-1, height, width * channels]))
        windows = ops.matmul(columns, ops.reshape(windows, [-1, width, channels]))
        windows = ops.transpose(ops.reshape(windows, [-1, window, down, window, across, channels]), [1, 3, 0, 2, 4, 5])
        products = ops.matmul(ops.reshape(windows, [positions, -1, channels]), self._kernel)
        tiles = ops.matmul(self._of_result, ops.reshape(products, [window, -1]))
        tiles = ops.matmul(self._of_result, ops.reshape(tiles, [tile, window, -1]))
        tiles = ops.transpose(ops.reshape(tiles, [tile, tile, -1, down, across, filters]), [2, 3, 0, 4, 1, 5])
        whole = ops.reshape(tiles, [-1, tile * down, tile * across, filters])
        results = whole[:, : self._results[0], : self._results[1]]
        return self._activation(results if self._bias is None else results + self._bias)

    def _of_side(self, axis: int) -> np.ndarray:
        """Return the matrix that transforms a side into the windows of all its tiles: float32 [rows, side]."""
        tile, window, side = self._tile, self._tile + 2, self._sides[axis]
        tiles = -(-self._results[axis] // tile)
        transform = np.zeros((window, tiles, tile * tiles + 2), np.float32)
        for i in range(tiles):
            transform[:, i, tile * i : tile * i + window] = self._of_image
        return transform[:, :, self._beyond : self._beyond + side].reshape(window * tiles, side)
