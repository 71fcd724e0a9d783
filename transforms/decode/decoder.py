"""The path from the bytes of an image to its pixels at each size.

The first frame is read, turned as EXIF says, converted to RGB and resized.
"""

import contextlib
import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import PIL.Image
from PIL import ExifTags, ImageFile

from transforms.core.elements import ImageFacts, Size
from transforms.core.errors import ImageError, one_line
from transforms.decode.color import load_rgb
from transforms.decode.deadline import TimedFile
from transforms.decode.formats.jpeg import may_be_reduced
from transforms.decode.formats.png import without_text
from transforms.decode.formats.ppm import refuse_long_header
from transforms.decode.memory import BYTES_PER_PIXEL, PIXELS, bytes_to_decode
from transforms.decode.opening import open_image
from transforms.decode.parts import check_parts
from transforms.decode.resizing import resized, scaled_to

REDUCED_TO = 2
"""A JPEG is reduced while it is decoded, but to no less than this many times the largest size that it is scaled to: the
resize that follows then hides the difference (docs/design/speed.md has the measurement)."""

_TURNS = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
_ICO = b"\0\0\1\0"
_SWAPPING = (_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8])


def decode_image(
    data: bytes,
    sizes: Sequence[Size],
    resize: str = "crop",
    max_pixels: int = 100_000_000,
    *,
    resize_filter: str = "bilinear",
    color_profile: str = "ignore",
    central_fraction: float = 1.0,
) -> tuple[ImageFacts, dict[Size, np.ndarray]]:
    """Decode an image: encoded bytes -> its facts, and uint8 [H, W, 3] RGB for each (H, W) of `sizes`.

    A JPEG is decoded at a reduced scale by its own transform, to no less than `REDUCED_TO` times the largest size that
    it is scaled to; one antialiased resize follows. The threads of a process share the memory of `max_pixels`: an image
    waits until its pixels fit beside the others'.

    Args:
      data: the bytes of the file.
      sizes: heights and widths, in px.
      resize: 'crop' scales the short side to the size and cuts out the centre; 'stretch' scales both sides; 'pad'
        scales the long side and fills the rest with black.
      max_pixels: maximum width times height, checked before decoding.
      resize_filter: 'bilinear', 'nearest', 'bicubic', 'lanczos' or 'area'.
      color_profile: 'ignore' takes the numbers as sRGB; 'apply' converts them as the image's ICC profile says.
      central_fraction: for 'crop', the part of the scaled sides that is cut out, up to 1: the short side is scaled to
        the size divided by it.

    Raises:
      ImageError: the bytes are not an image that can be used; its reason says why.
    """
    if not data:
        raise ImageError("empty", "the file has no bytes")
    try:
        image, file, (width, height) = open_reduced(data, sizes, max_pixels, central_fraction)
        file_format, capacity = image.format or "", max_pixels * BYTES_PER_PIXEL
        with PIXELS.share(bytes_to_decode(image, (width, height)), capacity):
            rgb = load_rgb(image, file, color_profile)
            turn = _TURNS.get(orientation(image))
            # Its pixels are in `rgb`, and a turn makes another copy of those.
            del image
            if turn is not None:
                rgb = rgb.transpose(turn)
            by_size = {size: resized(rgb, size, resize, resize_filter, central_fraction) for size in sizes}
            del rgb
    except ImageError:
        raise
    except Exception as e:
        # Decoders raise nearly anything on hostile bytes: OSError, SyntaxError, struct.error, IndexError.
        raise _cause(e, data) from e
    if turn in _SWAPPING:
        width, height = height, width
    return ImageFacts(width, height, file_format, hashlib.sha256(data).hexdigest()), by_size


class Opened(NamedTuple):
    """An image that is open, but not decoded yet.

    Attributes:
      image: the image, whose size is the one at which it will be decoded.
      file: what it was opened from.
      full_size: its width and height in the file, in px.
    """

    image: ImageFile.ImageFile
    file: TimedFile
    full_size: tuple[int, int]


def open_reduced(data: bytes, sizes: Sequence[Size], max_pixels: int, central_fraction: float = 1.0) -> Opened:
    """Open an image, and choose the scale at which it is decoded; the arguments are those of `decode_image`.

    Raises:
      ImageError: the bytes are not an image that can be used; Pillow raises nearly anything else.
    """
    # Pillow itself refuses more than twice this number, also for the images inside some formats.
    PIL.Image.MAX_IMAGE_PIXELS = max((max_pixels + 1) // 2, 1)
    check_parts(data)
    refuse_long_header(data)
    file = TimedFile(without_text(data))
    capacity = max_pixels * BYTES_PER_PIXEL
    # Pillow decodes an ICO while it opens it, so it is decoded alone; any other image opens without a wait.
    with PIXELS.share(capacity, capacity) if data.startswith(_ICO) else contextlib.nullcontext():
        image = open_image(file)
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError("too_many_pixels", f"{width} x {height} is more than {max_pixels} pixels")
    # A square, so that it is right before an EXIF turn and after it.
    if may_be_reduced(data):
        largest = max(max(scaled_to(size, central_fraction)) for size in sizes)
        image.draft(None, (REDUCED_TO * largest,) * 2)
    return Opened(image, file, (width, height))


def orientation(image: PIL.Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if there is none or the block is broken."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1


def _cause(error: Exception, data: bytes) -> ImageError:
    message = one_line(error)
    if isinstance(error, MemoryError):
        return ImageError("out_of_memory", message, transient=True)
    if isinstance(error, PIL.Image.DecompressionBombError):
        return ImageError("too_many_pixels", message)
    short = data.startswith(b"RIFF") and int.from_bytes(data[4:8], "little") + 8 > len(data)
    if (
        short
        or isinstance(error, EOFError)
        or re.search("truncated|unexpected end|not enough|incomplete", message, re.I)
    ):
        return ImageError("truncated", message)
    if "conversion" in message or message.startswith("Unsupported BMP"):
        return ImageError("unsupported_color", message)
    return ImageError("corrupt", f"{type(error).__name__}: {message}")
