"""Grey images of 12, 16, 32 bits and floats as grey images of 8 bits, a strip at a time."""

from collections.abc import Callable, Iterator

import numpy as np
import PIL.Image

_STRIP_PIXELS = 1 << 20
"""Pixels that are converted at a time, so that floats of a whole image are never held."""


def strips(image: PIL.Image.Image) -> Iterator[tuple[int, PIL.Image.Image]]:
    """Give an image in strips of whole rows, each with the row that it begins at."""
    rows = max(_STRIP_PIXELS // image.width, 1)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def in_strips(
    image: PIL.Image.Image, mode: str, convert: Callable[[PIL.Image.Image], PIL.Image.Image]
) -> PIL.Image.Image:
    """Convert an image to a mode, a strip at a time."""
    converted = PIL.Image.new(mode, image.size)
    for top, strip in strips(image):
        converted.paste(convert(strip), (0, top))
    return converted


def to_8_bits(image: PIL.Image.Image) -> PIL.Image.Image:
    """Scale the samples of a grey image of mode 1, L, I, I;16 (in either byte order) or F to 8 bits: mode 'L'."""
    return scaled(image, white_of(image.mode, highest(image)))


def highest(image: PIL.Image.Image, whole: np.dtype | None = None) -> float:
    """Return the highest sample of a grey image, at least 0; `whole` is that of `white_of`."""
    if image.mode not in ("I", "F"):
        # It decides nothing.
        return 0
    return max(float(_samples(strip, whole).max(initial=0)) for _, strip in strips(image))


def white_of(mode: str, top: float, bits: int = 16, whole: np.dtype | None = None) -> int:
    """Return the sample that is white, in an image or in several that belong together.

    It is 255 of 8 bits, 4095 of 12, 65535 of 16. 32-bit whole numbers are taken as 16-bit ones unless one exceeds
    65535. Floats are taken as 0 to 1 if none exceeds 2, since resampling overshoots; else as 0 to 255 if none exceeds
    510, else as 0 to 65535.

    Args:
      mode: Pillow's mode: 1, L, I, I;16 (in either byte order) or F.
      top: the highest sample of them all, for I and F.
      bits: bits per sample, of which Pillow keeps 12 in 16.
      whole: the type of whole numbers, where it is not Pillow's: it has no signed 8 and 16 bits, and no unsigned 32.
    """
    if mode == "F":
        return next((white for white in (1, 255) if top <= 2 * white), 65535)
    if mode == "I" and top <= 65535:
        return 65535
    if bits == 12:
        return 4095
    # Signed samples reach from 0 to the largest, as in scikit-image; libvips and Pillow clip those below 0, too. Moved
    # up by half their range instead, the many pictures that are stored in them without sign would be grey.
    return int(np.iinfo(whole or {"1": "u1", "L": "u1", "I": "i4"}.get(mode, "u2")).max)


def scaled(image: PIL.Image.Image, white: int, whole: np.dtype | None = None) -> PIL.Image.Image:
    """Scale the samples of a grey image to mode 'L': those from 0 to `white`; what is below 0 or not finite is 0."""
    if image.mode in ("1", "L") and white == 255:
        return image.convert("L")

    def convert(strip: PIL.Image.Image) -> PIL.Image.Image:
        values = np.rint(_samples(strip, whole) * np.float32(255 / white))
        return PIL.Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))

    return in_strips(image, "L", convert)


def _samples(strip: PIL.Image.Image, whole: np.dtype | None) -> np.ndarray:
    values = np.asarray(strip)
    if strip.mode == "F":
        return np.asarray(np.nan_to_num(values, posinf=0, neginf=0))
    return values if whole is None else values.astype(whole)
