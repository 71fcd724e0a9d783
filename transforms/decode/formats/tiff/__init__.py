"""TIFFs whose samples Pillow reads wrong, or not at all, and those that only a thumbnail stands for."""

from transforms.decode.formats.tiff.directory import is_tiff
from transforms.decode.formats.tiff.opening import open_tiff

__all__ = ["is_tiff", "open_tiff"]
