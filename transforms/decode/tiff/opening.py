"""Open a TIFF: by Pillow if it reads its samples right, else as grey images, or say why neither can."""

import re

from PIL import ImageFile, TiffImagePlugin

from transforms.core.errors import ImageError
from transforms.decode.deadline import TimedFile
from transforms.decode.tiff.directory import Directory
from transforms.decode.tiff.raw import is_raw
from transforms.decode.tiff.samples import Samples
from transforms.decode.tiff.split import SplitTiff
from transforms.decode.tiff.strips import refuse_missing_strips


def open_tiff(file: TimedFile) -> ImageFile.ImageFile:
    """Open a TIFF, by Pillow where it reads its samples right.

    Raises:
      ImageError: unsupported_raw, unsupported_color, unsupported_compression, or what `Directory` raises.
    """
    directory = Directory(file.getvalue())
    if is_raw(directory):
        raise ImageError("unsupported_raw", "a camera's raw photo (DNG or the like): only its thumbnail can be read")
    samples = Samples(directory)
    if samples.compression == 1 and not samples.planar:
        refuse_missing_strips(directory, samples)
    if not samples.pillow_is_right:
        if not samples.is_readable:
            raise ImageError("unsupported_color", str(samples))
        return SplitTiff(file, samples)
    try:
        return TiffImagePlugin.TiffImageFile(file)
    except SyntaxError as e:
        if samples.compression not in TiffImagePlugin.COMPRESSION_INFO:
            raise ImageError("unsupported_compression", str(samples)) from e
        if re.search("unknown|samples per pixel", str(e)):
            raise ImageError("unsupported_color", str(samples)) from e
        raise
