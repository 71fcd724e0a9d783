"""Decode images to pixels at the sizes that the backbones take: the owner of Pillow.

Only listed formats are opened, since the decoders of others see more attacks than images; JPEG includes MPO. The first
frame is read and turned as EXIF says. Colour: 16-bit grey and 32-bit integers are scaled by 1/257; float grey is taken
as 0 to 1, or as 0 to 255 if it exceeds 1; alpha is laid over white; Pillow converts anything else to RGB.
"""

import dataclasses
import functools
import hashlib
import io
import re
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import PIL.Image
from PIL import ExifTags, ImageOps, UnidentifiedImageError
from PIL.Image import Resampling

from transforms.core.counters import count
from transforms.core.elements import Image, ImageFacts, Pixels, Size
from transforms.core.errors import ImageError, one_line
from transforms.core.failures import FAILURES, Failure, failures_of
from transforms.core.spec import RESIZES
from transforms.core.stage import Stage, typed
from transforms.core.thread_map import ThreadMap

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "PPM", "ICO")
MAX_SCANS = 500
"""Maximum scans of a progressive JPEG. Encoders write about 10, and each one costs a pass over all pixels."""

_TURNS = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
_SWAPPING = (_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8])


class Decoded(NamedTuple):
    """Outputs of `DecodeImages`."""

    pixels: beam.PCollection[Pixels]
    undecoded: beam.PCollection[Failure]


@functools.cache
def opened_formats() -> tuple[str, ...]:
    """Return the formats that are opened, including HEIF if pillow-heif is installed."""
    warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
    PIL.Image.init()
    try:
        import pillow_heif
    except ImportError:
        return FORMATS
    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF")


def decode_image(
    data: bytes, sizes: Sequence[Size], resize: str = "crop", max_pixels: int = 100_000_000
) -> tuple[ImageFacts, dict[Size, np.ndarray]]:
    """Decode an image: encoded bytes -> its facts, and uint8 [H, W, 3] RGB for each (H, W) of `sizes`.

    A JPEG of at least twice the largest size is decoded at a reduced scale by its own transform, never below that size.
    Then comes one bilinear, antialiased resize.

    Args:
      data: the bytes of the file.
      sizes: heights and widths, in px.
      resize: 'crop' scales the short side to the size and cuts out the centre; 'stretch' scales both sides; 'pad'
        scales the long side and fills the rest with black.
      max_pixels: maximum width times height, checked before decoding.

    Raises:
      ImageError: the bytes are not an image that can be used; its reason says why.
    """
    if not data:
        raise ImageError("empty", "the file has no bytes")
    # Pillow itself refuses more than twice this number, also for the images inside some formats.
    PIL.Image.MAX_IMAGE_PIXELS = max(max_pixels // 2, 1)
    try:
        image = PIL.Image.open(io.BytesIO(data), formats=opened_formats())
        file_format, (width, height) = image.format or "", image.size
        if width * height > max_pixels:
            raise ImageError("too_many_pixels", f"{width} x {height} is more than {max_pixels} pixels")
        if file_format in ("JPEG", "MPO") and data.count(b"\xff\xda") > MAX_SCANS:
            raise ImageError("too_many_scans", f"more than {MAX_SCANS} scans")
        # A square, so that it is right before an EXIF turn and after it.
        image.draft(None, (max(map(max, sizes)),) * 2)
        image.load()
        turn = _TURNS.get(orientation(image))
        rgb = to_rgb(image)
        if turn is not None:
            rgb = rgb.transpose(turn)
        by_size = {(h, w): _resized(rgb, (w, h), resize) for h, w in sizes}
    except ImageError:
        raise
    except Exception as e:
        # Decoders raise nearly anything on hostile bytes: OSError, SyntaxError, struct.error, IndexError, MemoryError.
        raise _cause(e) from e
    if turn in _SWAPPING:
        width, height = height, width
    return ImageFacts(width, height, file_format, hashlib.sha256(data).hexdigest()), by_size


def orientation(image: PIL.Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if there is none or the block is broken."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1


def to_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """Convert an image of any mode to RGB, by the rules at the top of this file."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.float64) / 257
    elif image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float64))
        values = values * 255 if values.max(initial=0) <= 1 else values
    elif image.has_transparency_data or image.mode in ("La", "RGBa"):
        rgba = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
        white = PIL.Image.new("RGBA", rgba.size, "white")
        return PIL.Image.alpha_composite(white, rgba).convert("RGB")
    else:
        return image.convert("RGB")
    return PIL.Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8)).convert("RGB")


def _resized(image: PIL.Image.Image, size: tuple[int, int], resize: str) -> np.ndarray:
    if resize == "crop":
        resized = ImageOps.fit(image, size, Resampling.BILINEAR)
    elif resize == "pad":
        resized = ImageOps.pad(image, size, Resampling.BILINEAR, color="black")
    else:
        resized = image.resize(size, Resampling.BILINEAR)
    return np.asarray(resized)


def _cause(error: Exception) -> ImageError:
    message = one_line(error)
    if isinstance(error, UnidentifiedImageError):
        return ImageError("not_an_image", f"in none of the formats {', '.join(opened_formats())}")
    if isinstance(error, PIL.Image.DecompressionBombError):
        return ImageError("too_many_pixels", message)
    if isinstance(error, EOFError) or re.search("truncated|unexpected end|not enough|incomplete", message, re.I):
        return ImageError("truncated", message)
    if isinstance(error, ValueError) and "conversion" in message:
        return ImageError("unsupported_color", message)
    return ImageError("corrupt", f"{type(error).__name__}: {message}")


@dataclasses.dataclass(frozen=True)
class Decode:
    """Decode one image: Image -> Pixels; raise ImageError."""

    sizes: tuple[Size, ...]
    resize: str
    max_image_pixels: int

    def __call__(self, image: Image) -> Pixels:
        facts, by_size = decode_image(image.data, self.sizes, self.resize, self.max_image_pixels)
        count("images-decoded")
        return Pixels(image.source, facts, by_size)


@dataclasses.dataclass
class DecodeImages(Stage):
    """Decode images: Image -> Decoded(Pixels, Failure).

    Args:
      image_sizes: each (height, width) that a backbone takes, in px; an image is decoded once for all.
      resize: 'crop', 'stretch' or 'pad', see `decode_image`.
      max_image_pixels: maximum width times height.
      num_threads: concurrent decoders in each worker process; None is one per core, 0 switches threads off.
      lookahead: maximum number of decoded images per bundle; a batch of them keeps the forward pass busy.
    """

    takes = Image

    image_sizes: Sequence[Size] = ((224, 224),)
    resize: str = "crop"
    max_image_pixels: int = 100_000_000
    num_threads: int | None = None
    lookahead: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resize not in RESIZES:
            raise ValueError(f"resize must be one of {', '.join(RESIZES)}, is {self.resize!r}")
        if not self.image_sizes or min(map(min, self.image_sizes)) < 1:
            raise ValueError(f"image_sizes must be positive heights and widths, are {self.image_sizes}")

    @property
    def function(self) -> Decode:
        """The function that is applied to each image."""
        return Decode(tuple(dict.fromkeys((h, w) for h, w in self.image_sizes)), self.resize, self.max_image_pixels)

    def expand(self, images: beam.PCollection[Image]) -> Decoded:
        decode = ThreadMap(failures_of("decode", self.function), self.num_threads, self.lookahead)
        decoded = images | beam.ParDo(decode).with_outputs(FAILURES, main="pixels")
        return Decoded(typed(decoded.pixels, Pixels), typed(decoded[FAILURES], Failure))
