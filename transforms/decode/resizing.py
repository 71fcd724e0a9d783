"""RGB images at the size of a backbone's input."""

import numpy as np
import PIL.Image
from PIL import ImageOps
from PIL.Image import Resampling

from transforms.core.elements import Size

_FILTERS = {
    "bilinear": Resampling.BILINEAR,
    "nearest": Resampling.NEAREST,
    "bicubic": Resampling.BICUBIC,
    "lanczos": Resampling.LANCZOS,
    "area": Resampling.BOX,
}
"""All but nearest are antialiased: they weigh every pixel that falls into one of the result."""


def resized(image: PIL.Image.Image, size: Size, resize: str, resize_filter: str) -> np.ndarray:
    """Resize an image of mode 'RGB' or 'L' -> uint8 [H, W, 3]; the arguments are those of `decode_image`."""
    height, width = size
    method = _FILTERS[resize_filter]
    if resize == "crop":
        result = ImageOps.fit(image, (width, height), method)
    elif resize == "pad":
        scale = min(width / image.width, height / image.height)
        # An image of 30000 x 2 keeps a row.
        inner = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
        result = PIL.Image.new("RGB", (width, height), "black")
        result.paste(image.resize(inner, method), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    else:
        result = image.resize((width, height), method)
    return np.asarray(result.convert("RGB"))
