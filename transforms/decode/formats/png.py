"""PNGs: their one transparent colour, and text that is not read."""

import numpy as np
from PIL import ImageFile, PngImagePlugin

from transforms.decode.deadline import TimedFile
from transforms.decode.parts import PNG_MAGIC, png_chunks

_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_EXIF_IN_TEXT = b"Raw profile type exif\0"
_BITS = {"1": 1, "L;2": 2, "L;4": 4, "L": 8, "I;16B": 16, "RGB": 8, "RGB;16B": 16}
"""Bits per sample by Pillow's name of how they are packed."""

# A colour profile is inflated too, and those of printers take a few MB.
PngImagePlugin.MAX_TEXT_CHUNK = 16 << 20


def without_text(data: bytes) -> bytes:
    """Leave out a PNG's texts, which Pillow would inflate and refuse if they are large; EXIF in a text stays."""
    if not data.startswith(PNG_MAGIC):
        return data
    left_out = [
        (start, end)
        for kind, start, end in png_chunks(data)
        if kind in _TEXT and not data.startswith(_EXIF_IN_TEXT, start + 8)
    ]
    if not left_out:
        return data
    starts = [0, *(end for _, end in left_out)]
    ends = [*(start for start, _ in left_out), len(data)]
    return b"".join(data[start:end] for start, end in zip(starts, ends, strict=True))


def transparent_pixels(image: ImageFile.ImageFile, file: TimedFile) -> np.ndarray | None:
    """Load a PNG of grey or RGB in which one colour is transparent, and return where that is: bool [H, W].

    Pillow compares the colour, in the PNG's own bits, with samples that it has scaled to 8 bits.

    Args:
      image: an opened image, not loaded yet.
      file: what it was opened from.

    Returns:
      None, without loading it, for any other image.
    """
    color = image.info.get("transparency")
    if image.format != "PNG" or image.mode not in ("1", "L", "I;16", "RGB") or color is None or not image.tile:
        return None
    bits = _BITS[str(image.tile[0].args)]
    low = _low_bytes(file) if (image.mode, bits) == ("RGB", 16) else None
    image.load()
    samples = np.asarray(image)
    if low is not None:
        high = _equal(samples, [c >> 8 for c in color])
        return np.asarray(high & _equal(low, [c & 255 for c in color]))
    if image.mode == "RGB":
        return _equal(samples, color)
    if image.mode == "1":
        # Pillow has scaled it already.
        color = bool(color)
    elif bits < 16:
        color = color * 255 // ((1 << bits) - 1)
    return np.asarray(samples == color)


def _low_bytes(file: TimedFile) -> np.ndarray:
    """Decode the low bytes of 16-bit RGB: told the other byte order, Pillow takes them for the high ones."""
    image = PngImagePlugin.PngImageFile(TimedFile(file.getvalue(), file.until))
    image.tile = [image.tile[0]._replace(args="RGB;16L")]
    return np.asarray(image)


def _equal(pixels: np.ndarray, color: list[int]) -> np.ndarray:
    return np.asarray((pixels == color).all(axis=2))
