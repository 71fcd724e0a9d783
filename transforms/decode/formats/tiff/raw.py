"""Raw photos of cameras, whose first image is the sensor's or a thumbnail."""

from transforms.decode.formats.tiff.directory import Directory
from transforms.decode.formats.tiff.tags import Photometric, Tag


def is_raw(directory: Directory) -> bool:
    """Whether the first image of a file is a camera's raw sensor, or the thumbnail of one."""
    thumbnail = bool(directory.number(Tag.SUBFILE, 0) & 1)
    sensor = directory.number(Tag.PHOTOMETRIC, 0) in (Photometric.FILTER_ARRAY, Photometric.LINEAR_RAW)
    return (
        (Tag.DNG_VERSION in directory and (thumbnail or sensor))
        or sensor
        or (thumbnail and Tag.SUB_DIRECTORIES in directory)
    )
