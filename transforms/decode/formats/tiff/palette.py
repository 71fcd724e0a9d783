"""Colour maps of a TIFF whose entries are 8-bit numbers."""

from PIL import ImagePalette, TiffImagePlugin

from transforms.decode.formats.tiff.tags import Tag


def widen_color_map(image: TiffImagePlugin.TiffImageFile) -> None:
    """Take the numbers of a colour map as they are if none needs more than 8 bits, as libtiff's tools do.

    The specification has 16 bits, of which Pillow takes the upper 8; old software wrote 8, and all came out black.
    """
    numbers = image.tag_v2.get(Tag.COLOR_MAP, ())
    if image.mode in ("P", "PA") and numbers and max(numbers) < 256:
        image.palette = ImagePalette.raw("RGB;L", bytes(numbers))
