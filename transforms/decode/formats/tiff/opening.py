"""Open a TIFF: by Pillow if it reads its samples right, else as grey images, or say why neither can."""

import re

from PIL import ImageFile, TiffImagePlugin

from transforms.core.errors import ImageError
from transforms.decode.deadline import TimedFile
from transforms.decode.formats.tiff.compressions import is_decoded
from transforms.decode.formats.tiff.directory import Directory
from transforms.decode.formats.tiff.fill_order import turned
from transforms.decode.formats.tiff.palette import widen_color_map
from transforms.decode.formats.tiff.raw import is_raw
from transforms.decode.formats.tiff.samples import Samples
from transforms.decode.formats.tiff.split import SplitTiff
from transforms.decode.formats.tiff.strips import refuse_missing_strips


def open_tiff(file: TimedFile) -> ImageFile.ImageFile:
    """Open a TIFF, by Pillow where it reads its samples right.

    Raises:
      ImageError: unsupported_raw, unsupported_color, unsupported_compression, truncated, or what `Directory` raises.
    """
    file = turned(file)
    directory = Directory(file.getvalue())
    if is_raw(directory):
        raise ImageError("unsupported_raw", "a camera's raw photo (DNG or the like): only its thumbnail can be read")
    samples = Samples(directory)
    if not is_decoded(samples.compression):
        raise ImageError("unsupported_compression", str(samples))
    refuse_missing_strips(directory, samples)
    if not samples.pillow_is_right:
        if not samples.is_readable:
            raise ImageError("unsupported_color", str(samples))
        return SplitTiff(file, samples)
    try:
        image = TiffImagePlugin.TiffImageFile(file)
    except SyntaxError as e:
        if re.search("unknown|samples per pixel", str(e)):
            raise ImageError("unsupported_color", str(samples)) from e
        raise
    widen_color_map(image)
    return image
