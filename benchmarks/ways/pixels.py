"""Decoding as the peers do it, without Keras: processes that only decode start fast."""

import numpy as np
import PIL.Image
from PIL import ImageOps

from benchmarks.ways import SIDE


def pillow_pixels(path: str) -> np.ndarray:
    """Decode with Pillow, short side to 224 and centre crop: path -> uint8 [224, 224, 3]."""
    image = PIL.Image.open(path)
    image.draft("RGB", (SIDE, SIDE))
    return np.asarray(ImageOps.fit(image.convert("RGB"), (SIDE, SIDE), PIL.Image.Resampling.BILINEAR))
