"""Opened images of any mode as RGB, or grey, of 8 bits; alpha is laid over white; profiles are applied by littleCMS.

The rules that Pillow has otherwise: alpha that is 0 in every pixel of a BMP or ICO is none, and an ICO's mask says what
is transparent; the one transparent colour of a PNG is compared in the PNG's own bits; the canvas around a GIF's first
frame is empty.
"""

import io

import numpy as np
import PIL.Image
from PIL import ImageCms, ImageFile

from transforms.core.errors import ImageError
from transforms.decode.deadline import TimedFile
from transforms.decode.formats.ico import masked_pixels
from transforms.decode.formats.png import transparent_pixels
from transforms.decode.grey import in_strips, to_8_bits

_RLE4 = 2
"""Compression of a BMP, 4 bits per pixel in run lengths, that Pillow misreads."""

_UNUSED_ALPHA = ("BMP", "ICO")
"""Formats whose writers leave the fourth byte at 0 if there is no alpha."""

_SRGB = ImageCms.createProfile("sRGB")
_PROFILE_MODES = {"RGB": "RGB", "CMYK": "CMYK", "GRAY": "L"}
"""Pillow's mode of the colours that a profile is for."""


def load_rgb(image: ImageFile.ImageFile, file: TimedFile, color_profile: str = "ignore") -> PIL.Image.Image:
    """Decode an opened image: an image of any mode -> mode 'RGB', or 'L' if it is grey.

    Args:
      image: the image, not loaded yet.
      file: what it was opened from.
      color_profile: 'apply' converts to sRGB as the image's profile says; 'ignore' takes the numbers as sRGB.

    Raises:
      ImageError: unsupported_color, for pixels that Pillow misreads.
    """
    if image.format == "BMP" and image.info.get("compression") == _RLE4:
        raise ImageError("unsupported_color", "a BMP of 4 bits per pixel in run lengths (RLE4)")
    frame = image.tile[0].extents if image.format == "GIF" and image.tile else None
    transparent = transparent_pixels(image, file)
    if transparent is not None:
        # It has been compared already.
        del image.info["transparency"]
    image.load()
    unused_alpha = _has_unused_alpha(image)
    if unused_alpha and image.format == "ICO":
        transparent = masked_pixels(image, file)
    rgb = image.convert("RGB") if unused_alpha else to_rgb(image)
    if transparent is not None:
        rgb = _on_white(rgb, transparent)
    if color_profile == "apply" and (profile := image.info.get("icc_profile")):
        rgb = to_srgb(image, rgb, profile)
    if frame and frame != (0, 0, image.width, image.height):
        canvas = PIL.Image.new("RGB", image.size, "white")
        canvas.paste(rgb.crop(frame), frame)
        return canvas
    return rgb


def to_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """Convert a loaded image of any mode to mode 'RGB', or 'L' if it is grey."""
    if image.mode in ("RGB", "L") and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode in ("F", "1"):
        return to_8_bits(image)
    if image.has_transparency_data or image.mode in ("La", "RGBa"):
        return in_strips(image, "RGB", _strip_on_white)
    return image.convert("RGB")


def _strip_on_white(strip: PIL.Image.Image) -> PIL.Image.Image:
    rgba = strip.convert("LA").convert("RGBA") if strip.mode == "La" else strip.convert("RGBA")
    return PIL.Image.alpha_composite(PIL.Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _has_unused_alpha(image: PIL.Image.Image) -> bool:
    return image.format in _UNUSED_ALPHA and image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0)


def _on_white(rgb: PIL.Image.Image, transparent: np.ndarray) -> PIL.Image.Image:
    pixels = np.array(rgb)
    pixels[transparent] = 255
    return PIL.Image.fromarray(pixels)


def to_srgb(image: PIL.Image.Image, rgb: PIL.Image.Image, profile: bytes) -> PIL.Image.Image:
    """Convert an image to sRGB as its profile says, with relative colorimetric intent and black point compensation.

    A profile that is broken, or for other colours than the image has, is ignored, as browsers do.

    Args:
      image: the image as it was decoded, of any mode.
      rgb: the same as mode 'RGB' or 'L', with alpha laid over white.
      profile: bytes of the ICC profile.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _PROFILE_MODES[source.profile.xcolor_space.strip()]
        if (image.mode == "CMYK") != (mode == "CMYK"):
            return rgb
        colors = image if mode == "CMYK" else rgb
        converted = ImageCms.profileToProfile(
            colors.convert(mode),
            source,
            _SRGB,
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            "RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, KeyError, ValueError):
        return rgb
    return converted or rgb
