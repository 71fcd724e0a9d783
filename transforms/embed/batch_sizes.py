"""How many images a batch has, and how a short one is padded."""

import math

import numpy as np

from transforms.core.elements import Size

CPU_BATCH, GPU_BATCH = 64, 256
"""Maximum images of 224 x 224 px in a batch: enough that the work between two batches does not matter."""

GPU_IMAGES, GPU_BYTES = 32, 4 << 30
"""A GPU starts with GPU_IMAGES images of 224 x 224 px per GPU_BYTES of its memory; running out halves the batch."""


def default_batch_size(size: Size, images: float = CPU_BATCH) -> int:
    """Return the power of two whose images have about as many pixels as `images` images of 224 x 224 px.

    Args:
      size: height and width of an image, in px.
      images: number of images of 224 x 224 px.
    """
    height, width = size
    return int(2 ** max(0, round(math.log2(images * 224 * 224 / (height * width)))))


def gpu_batch_size(size: Size, memory: int) -> int:
    """Return how many images a batch on a GPU starts with.

    Args:
      size: height and width of an image, in px.
      memory: memory of the GPU, in bytes.
    """
    return default_batch_size(size, min(max(GPU_IMAGES * memory / GPU_BYTES, 1), GPU_BATCH))


def padded(images: np.ndarray, batch_size: int) -> np.ndarray:
    """Pad to a power of two or `batch_size` with the last image: uint8 [N, H, W, 3] -> uint8 [M, H, W, 3]."""
    return filled(images, min(1 << (len(images) - 1).bit_length(), max(batch_size, len(images))))


def filled(images: np.ndarray, rows: int) -> np.ndarray:
    """Pad to `rows` with the last image: uint8 [N, H, W, 3] -> uint8 [rows, H, W, 3]."""
    missing = rows - len(images)
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images
