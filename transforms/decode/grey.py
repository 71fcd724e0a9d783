"""Grey images of 12, 16, 32 bits and floats as grey images of 8 bits, a strip at a time."""

from collections.abc import Callable, Iterator, Sequence

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


def to_8_bits(
    images: Sequence[PIL.Image.Image], bits: int = 16, *, whole: np.dtype | None = None
) -> list[PIL.Image.Image]:
    """Scale the samples of images that belong together to 8 bits: images of one grey mode -> mode 'L'.

    Unsigned samples of 8 bits stay, those of 12 are divided by 4095 / 255, of 16 by 257. 32-bit whole numbers are taken
    as 16-bit ones unless one exceeds 65535. Floats are taken as 0 to 1 if none exceeds 2, since resampling overshoots;
    else as 0 to 255 if none exceeds 510, else as 0 to 65535. What is below 0 or not finite is 0.

    Args:
      images: images of mode 1, L, I, I;16 (in either byte order) or F.
      bits: bits per sample, of which Pillow keeps 12 in 16.
      whole: the type of whole numbers, where it is not Pillow's: it has no signed 8 and 16 bits, and no unsigned 32.
    """
    mode = images[0].mode
    if mode in ("1", "L") and (whole is None or whole.kind == "u"):
        return [image.convert("L") for image in images]

    def samples(strip: PIL.Image.Image) -> np.ndarray:
        values = np.asarray(strip)
        if mode == "F":
            return np.asarray(np.nan_to_num(values, posinf=0, neginf=0))
        return values if whole is None else values.astype(whole)

    def highest() -> float:
        return max(float(samples(strip).max(initial=0)) for image in images for _, strip in strips(image))

    if mode == "F":
        top = highest()
        white = next((white for white in (1, 255) if top <= 2 * white), 65535)
    elif mode == "I" and highest() <= 65535:
        white = 65535
    else:
        # Signed samples reach from 0 to the largest, as in scikit-image; libvips and Pillow clip those below 0, too.
        # Moved up by half their range instead, the many pictures that are stored in them without sign would be grey.
        white = 4095 if bits == 12 else int(np.iinfo(whole or samples(images[0].crop((0, 0, 1, 1))).dtype).max)

    def convert(strip: PIL.Image.Image) -> PIL.Image.Image:
        scaled = np.rint(samples(strip) * np.float32(255 / white))
        return PIL.Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))

    return [in_strips(image, "L", convert) for image in images]
