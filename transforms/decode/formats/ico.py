"""Icons whose alpha says nothing: their bit mask says what is transparent, as in Windows."""

import struct

import numpy as np
from PIL import IcoImagePlugin, ImageFile

from transforms.decode.deadline import TimedFile

_BITFIELDS = 3


def masked_pixels(image: ImageFile.ImageFile, file: TimedFile) -> np.ndarray | None:
    """Return where the mask of a 32-bit icon makes it transparent: bool [H, W].

    Args:
      image: an icon.
      file: what it was opened from.

    Returns:
      None without a mask, or with one that leaves nothing to see: an icon is a picture.
    """
    assert isinstance(image, IcoImagePlugin.IcoImageFile)
    at, data = image.ico.entry[0].offset, file.getvalue()
    if len(data) < at + 40 or (length := struct.unpack_from("<I", data, at)[0]) != 40:
        return None
    masks = 12 if struct.unpack_from("<I", data, at + 16)[0] == _BITFIELDS else 0
    width, height = image.size
    # Rows of whole 32 bits, from below, behind the pixels.
    row = -(-width // 32) * 4
    start = at + length + masks + 4 * width * height
    if start + row * height > len(data):
        return None
    bits = np.unpackbits(np.frombuffer(data, np.uint8, row * height, start).reshape(height, row)[::-1], axis=1)
    masked = bits[:, :width].astype(bool)
    return None if masked.all() else masked
