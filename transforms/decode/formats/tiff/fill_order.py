"""TIFFs whose bits lie in their bytes from the lowest up (FillOrder 2)."""

from transforms.decode.deadline import TimedFile
from transforms.decode.formats.tiff.directory import Directory
from transforms.decode.formats.tiff.rewriting import with_directory
from transforms.decode.formats.tiff.tags import Tag

_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))

_FROM_THE_LOWEST = 2
_BY_BITS = (2, 3, 4, 6, 7)
"""Compressions whose decoders turn the bits themselves, or have an order of their own: fax, JPEG."""


def turned(file: TimedFile) -> TimedFile:
    """Return a TIFF with the bits of each byte the usual way round: Pillow knows few kinds of samples the other way."""
    directory = Directory(file.getvalue())
    if directory.number(Tag.FILL_ORDER, 1) != _FROM_THE_LOWEST or directory.number(Tag.COMPRESSION, 1) in _BY_BITS:
        return file
    tags = {int(tag): directory.numbers(tag) for tag in Tag if tag in directory and tag != Tag.FILL_ORDER}
    return TimedFile(with_directory(directory.data.translate(_TURNED), directory.order, tags), file.until)
