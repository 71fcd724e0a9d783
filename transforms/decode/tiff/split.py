"""A TIFF as grey images, which Pillow reads right whatever their type.

Each is opened through a directory of its own that is put behind the file's bytes: a plane is a grey image, and n
samples side by side are a grey image of n times the width. Their 8-bit versions are put together again.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image
from PIL import ImageChops, ImageFile, TiffImagePlugin

from transforms.decode.deadline import TimedFile
from transforms.decode.grey import in_strips, to_8_bits
from transforms.decode.tiff.rewriting import with_directory
from transforms.decode.tiff.samples import Samples
from transforms.decode.tiff.tags import Photometric, Tag

_KEPT = (Tag.HEIGHT, Tag.COMPRESSION, Tag.FILL_ORDER, Tag.ROWS, Tag.PREDICTOR, Tag.TILE_HEIGHT, Tag.JPEG_TABLES)
"""Tags that a grey directory takes over as they are: also the height of strips and tiles."""


class SplitTiff(ImageFile.ImageFile):
    """A TIFF that is read as grey images; mode and size are known when it is opened, pixels when it is loaded."""

    format = "TIFF"
    format_description = "TIFF, read as grey images"

    def __init__(self, file: TimedFile, samples: Samples):
        self._samples, self._file = samples, file
        super().__init__(file)

    def _open(self) -> None:
        self._mode, self._size = self._samples.mode, self._samples.size
        # Read only by the check that there is something to load.
        self.tile = [ImageFile._Tile("raw", (0, 0, *self.size), 0, None)]
        turned = PIL.Image.Exif()
        turned[Tag.ORIENTATION] = self._samples.directory.number(Tag.ORIENTATION, 1)
        self.info["exif"] = turned.tobytes()
        profile = self._samples.directory.numbers(Tag.PROFILE)
        if profile:
            self.info["icc_profile"] = bytes(profile)

    def load(self) -> Any:
        """Read the samples and put them together."""
        if self.tile:
            self.im = self._merged().im
            self.tile = []
        return super().load()

    def _merged(self) -> PIL.Image.Image:
        samples = self._samples
        bands = self._planes() if samples.planar else self._side_by_side()
        if samples.photometric == Photometric.WHITE_IS_ZERO:
            bands = [ImageChops.invert(bands[0]), *bands[1:]]
        return bands[0] if len(self.getbands()) == 1 else PIL.Image.merge(self.mode, bands)

    def _planes(self) -> list[PIL.Image.Image]:
        return self._apart([self._grey(1, plane) for plane in range(len(self.getbands()))])

    def _side_by_side(self) -> list[PIL.Image.Image]:
        count, is_float = self._samples.count, self._samples.format == 3
        grey = self._grey(count, 0)
        wide = np.asarray(grey if is_float else self._to_8_bits([grey])[0])
        bands = [
            PIL.Image.fromarray(np.ascontiguousarray(wide[:, band::count])) for band in range(len(self.getbands()))
        ]
        return self._apart(bands) if is_float else bands

    def _apart(self, bands: list[PIL.Image.Image]) -> list[PIL.Image.Image]:
        """Scale the colours together and alpha by itself, since floats of both may have other ranges."""
        colors, alpha = bands[: self._samples.colors], bands[self._samples.colors :]
        return self._to_8_bits(colors) + (self._to_8_bits(alpha) if alpha else [])

    def _to_8_bits(self, grey: list[PIL.Image.Image]) -> list[PIL.Image.Image]:
        return to_8_bits(grey, self._samples.bits, whole=self._samples.whole)

    def _grey(self, times: int, plane: int) -> PIL.Image.Image:
        """Open the samples as one grey image: `times` the width, and the strips or tiles of a plane."""
        samples, directory = self._samples, self._samples.directory
        tags: dict[int, Sequence[int]] = {tag: directory.numbers(tag) for tag in _KEPT if tag in directory}
        tags |= {Tag.WIDTH: [samples.size[0] * times], Tag.BITS: [samples.bits], Tag.SAMPLES: [1], Tag.PLANAR: [1]}
        # Of whole numbers Pillow reads unsigned 8 and 16 bits and signed 32 in both orders; their bits are the same.
        format_ = 3 if samples.format == 3 else 2 if samples.bits == 32 else 1
        tags |= {Tag.PHOTOMETRIC: [Photometric.BLACK_IS_ZERO], Tag.SAMPLE_FORMAT: [format_]}
        if Tag.TILE_WIDTH in directory:
            tags[Tag.TILE_WIDTH] = [directory.number(Tag.TILE_WIDTH, 0) * times]
        for tag in (Tag.STRIPS, Tag.STRIP_BYTES, Tag.TILES, Tag.TILE_BYTES):
            if tag in directory:
                numbers = directory.numbers(tag)
                per_plane = len(numbers) // samples.count if samples.planar else len(numbers)
                tags[tag] = numbers[plane * per_plane : (plane + 1) * per_plane]
        # Twelve bits are packed alike in both orders, and Pillow knows one.
        order = "<" if samples.bits == 12 else directory.order
        grey = TiffImagePlugin.TiffImageFile(TimedFile(with_directory(directory.data, order, tags), self._file.until))
        grey.load()
        return in_strips(grey, grey.mode, _swapped) if samples.is_swapped_twice else grey


def _swapped(strip: PIL.Image.Image) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.asarray(strip).byteswap())
