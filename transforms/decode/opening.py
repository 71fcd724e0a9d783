"""Open bytes as an image of an accepted format, or say what they are.

Only listed formats are opened, since the decoders of others see more attacks than images; JPEG includes MPO.
"""

import functools
import warnings

import PIL.Image
from PIL import ImageFile, UnidentifiedImageError

from transforms.core.errors import ImageError
from transforms.decode.deadline import TimedFile
from transforms.decode.formats.jpeg import unread_samples
from transforms.decode.formats.tiff import is_tiff, open_tiff
from transforms.decode.signatures import signature_of

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "PPM", "ICO")

_XMP = ("xmp", "XML:com.adobe.xmp")
"""Where Pillow keeps XMP, by whose orientation it would turn an image that has none in EXIF."""


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


def open_image(file: TimedFile) -> ImageFile.ImageFile:
    """Open an image without decoding it.

    Raises:
      ImageError: not_an_image, or what `open_tiff` raises; Pillow's decoders raise nearly anything else.
    """
    if is_tiff(file.getvalue()):
        image = open_tiff(file)
    else:
        try:
            image = PIL.Image.open(file, formats=opened_formats())
        except UnidentifiedImageError as e:
            raise unidentified(file.getvalue()) from e
    for key in _XMP:
        image.info.pop(key, None)
    return image


def unidentified(data: bytes) -> ImageError:
    """Return the error for bytes that no decoder opens: it names what they are, if that can be seen."""
    none_of = f"in none of the formats {', '.join(opened_formats())}"
    signature = signature_of(data)
    if signature is None:
        return ImageError("not_an_image", none_of)
    if signature.name == "JPEG" and (unread := unread_samples(data)):
        return ImageError("unsupported_color", unread)
    if signature.accepted:
        return ImageError("corrupt", f"{signature.name} whose header cannot be read")
    if signature.package and signature.name not in opened_formats():
        return ImageError("unsupported_heif", f"{signature.name}; pip install {signature.package}", transient=True)
    return ImageError("not_an_image", f"{signature.name}, {none_of}")
