"""The eight images that every worker embeds before others: generated, so that they are the same bytes everywhere."""

import numpy as np

from transforms.core.elements import Size

COUNT = 8
CELLS = 8
"""Cells of a coarse pattern, on each side."""


def reference_images(size: Size) -> np.ndarray:
    """Return gradients, checkerboards, rings and noise: (height, width) -> uint8 [8, H, W, 3].

    Only whole numbers are computed with, which are the same on every platform.
    """
    height, width = size
    y, x = np.indices(size, dtype=np.int64)
    across, down = 255 * x // max(width - 1, 1), 255 * y // max(height - 1, 1)
    column, row = CELLS * x // width, CELLS * y // height
    # Squares of the distance from a point in the middle, in 255ths of the shorter side.
    side = min(size)
    distance = (255 * (2 * x - width) // side) ** 2 + (255 * (2 * y - height) // side) ** 2
    channel = np.arange(3)
    patterns = (
        _rgb(across, down, (across + down) // 2),
        _rgb(255 - down, (across * down) // 255, 255 - across),
        _rgb(255 * ((column + row) % 2), 255 * (column % 2), 64 + 128 * (row % 2)),
        _rgb(*(230 * ((x // 2 + y // 2) % 2),) * 3) // 2 + _rgb(across, across, down) // 2,
        np.where((distance < 90 * 90)[..., None], (220, 60, 30), (40, 90, 160)),
        _rgb(*(distance // (60 * (1 + c)) % 256 for c in range(3))),
        _noise(x[..., None], y[..., None], channel),
        (_noise(column[..., None], row[..., None], channel) + 3 * _rgb(down, across, down)) // 4,
    )
    return np.stack(patterns).astype(np.uint8)


def _rgb(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> np.ndarray:
    return np.stack([red, green, blue], axis=-1)


def _noise(x: np.ndarray, y: np.ndarray, channel: np.ndarray) -> np.ndarray:
    """Return a number of 0 to 255 for each place, which seems random: the upper bits of a hash of 32 bits."""
    hashed = (73_856_093 * x ^ 19_349_663 * y ^ 83_492_791 * (channel + 1)) & 0xFFFFFFFF
    for _ in range(2):
        hashed = (hashed ^ hashed >> 15) * 0x2C1B3C6D & 0xFFFFFFFF
    noise: np.ndarray = hashed >> 24
    return noise
