"""RGB images at the size of a backbone's input."""

import math

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


def resized(
    image: PIL.Image.Image, size: Size, resize: str, resize_filter: str, central_fraction: float = 1.0
) -> np.ndarray:
    """Resize an image of mode 'RGB' or 'L' -> uint8 [H, W, 3]; the arguments are those of `decode_image`."""
    height, width = size
    method = _FILTERS[resize_filter]
    if resize == "crop" and central_fraction == 1:
        result = ImageOps.fit(image, (width, height), method)
    elif resize == "crop":
        # Pixels beside the box count where the filter reaches them, as if all of the image were resized.
        result = image.resize((width, height), method, box=_middle(image.size, size, central_fraction))
    elif resize == "pad":
        scale = min(width / image.width, height / image.height)
        # An image of 30000 x 2 keeps a row.
        inner = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
        result = PIL.Image.new("RGB", (width, height), "black")
        result.paste(image.resize(inner, method), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    else:
        result = image.resize((width, height), method)
    return np.asarray(result.convert("RGB"))


def scaled_to(size: Size, central_fraction: float) -> Size:
    """Return the height and width that an image is scaled to cover, in px, before `size` is cut out of its middle."""
    height, width = size
    # Whole pixels, rounded as by timm.
    return math.floor(height / central_fraction), math.floor(width / central_fraction)


def scaled_whole(whole: tuple[int, int], size: Size, central_fraction: float) -> tuple[int, int]:
    """Return the width and height of an image when it is scaled, both in px, from those that it has."""
    width, height = whole
    least_height, least_width = scaled_to(size, central_fraction)
    # Rounded as by torchvision.
    if width * least_height >= height * least_width:
        return least_height * width // height, least_height
    return least_width, least_width * height // width


def _middle(whole: tuple[int, int], size: Size, central_fraction: float) -> tuple[float, float, float, float]:
    """Return what is cut out of an image, in its own px: left, top, right and bottom."""
    width, height = whole
    scaled_width, scaled_height = scaled_whole(whole, size, central_fraction)
    # Halves are rounded to even numbers, as by torchvision.
    left, top = round((scaled_width - size[1]) / 2), round((scaled_height - size[0]) / 2)
    right, bottom = left + size[1], top + size[0]
    return (
        left * width / scaled_width,
        top * height / scaled_height,
        right * width / scaled_width,
        bottom * height / scaled_height,
    )
