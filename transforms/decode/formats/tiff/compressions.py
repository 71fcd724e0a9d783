"""Which compressions this machine's libtiff decodes: some are left out of it when it is built."""

import functools

from PIL import TiffImagePlugin

from transforms.decode.deadline import TimedFile
from transforms.decode.formats.tiff.rewriting import with_directory
from transforms.decode.formats.tiff.tags import Photometric, Tag

_BLACK_PIXEL = {
    34925: "fd377a585a000000ff12d9410200210116000000742fe5a301000200000000000001130303a560d806729e7a010000000000595a",
    50000: "28b52ffd2003190000000000",
    50001: "524946461a000000574542505650384c0e0000002f00000000071011fd0f4444ff03",
}
"""One black pixel of RGB in each compression that libtiff may lack: LZMA, Zstandard, WebP."""


def is_decoded(compression: int) -> bool:
    """Whether a compression, by its number, can be decoded."""
    if compression not in TiffImagePlugin.COMPRESSION_INFO:
        return False
    return compression not in _BLACK_PIXEL or _decodes_a_pixel(compression)


@functools.cache
def _decodes_a_pixel(compression: int) -> bool:
    strip = bytes.fromhex(_BLACK_PIXEL[compression])
    tags: dict[int, list[int]] = {Tag.WIDTH: [1], Tag.HEIGHT: [1], Tag.BITS: [8, 8, 8], Tag.SAMPLES: [3]}
    tags |= {Tag.PHOTOMETRIC: [Photometric.RGB], Tag.COMPRESSION: [compression]}
    tags |= {Tag.STRIPS: [0], Tag.STRIP_BYTES: [len(strip)]}
    try:
        TiffImagePlugin.TiffImageFile(TimedFile(with_directory(strip, "<", tags))).load()
    except OSError:
        return False
    return True
