"""A TIFF as grey images, which Pillow reads right whatever their type: planes, or samples that lie side by side.

Their 8-bit versions are put together again, some rows at a time.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
from PIL import ImageChops, ImageFile

from transforms.decode.deadline import TimedFile
from transforms.decode.formats.tiff.pieces import Pieces, read_piece, refuse_large
from transforms.decode.formats.tiff.samples import Samples
from transforms.decode.formats.tiff.tags import Photometric, Tag
from transforms.decode.grey import highest, scaled, white_of


class SplitTiff(ImageFile.ImageFile):
    """A TIFF that is read as grey images; mode and size are known when it is opened, pixels when it is loaded."""

    format = "TIFF"
    format_description = "TIFF, read as grey images"

    def __init__(self, file: TimedFile, samples: Samples):
        self._samples, self._pieces, self._until = samples, Pieces(samples), file.until
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
            refuse_large(self._pieces)
            self.im = self._merged().im
            self.tile = []
        return super().load()

    @property
    def decoder_bytes(self) -> int:
        """The bytes of the largest piece, and of the decoder that reads it."""
        return 2 * self._pieces.largest * (4 if self._samples.bits == 32 else 2)

    def _merged(self) -> PIL.Image.Image:
        whites = self._whites()
        bands = [PIL.Image.new("L", self.size) for _ in whites]
        for band, top, grey in self._greys():
            bands[band].paste(scaled(grey, whites[band], self._samples.whole), (0, top))
        if self._samples.photometric == Photometric.WHITE_IS_ZERO:
            bands[0] = ImageChops.invert(bands[0])
        return bands[0] if len(bands) == 1 else PIL.Image.merge(self.mode, bands)

    def _whites(self) -> list[int]:
        """Return the sample that is white in each band: colours have one range, alpha may have another."""
        samples, tops = self._samples, [0.0] * len(self.getbands())
        # The range of others is that of their type, so that they are read once.
        if samples.bits == 32:
            for band, _, grey in self._greys():
                tops[band] = max(tops[band], highest(grey, samples.whole))
        colors, alpha = tops[: samples.colors], tops[samples.colors :]
        mode = {8: "L", 32: "F" if samples.format == 3 else "I"}.get(samples.bits, "I;16")
        return [white_of(mode, max(group), samples.bits, samples.whole) for group in (colors, alpha) for _ in group]

    def _greys(self) -> Iterator[tuple[int, int, PIL.Image.Image]]:
        """Give each band in pieces: its number, the row that a piece begins at, a grey image."""
        bands = range(len(self.getbands()))
        for plane in bands if self._samples.planar else (0,):
            for piece in self._pieces(plane):
                wide = read_piece(self._pieces, piece, self._until)
                if self._pieces.times == 1:
                    yield plane, piece.top, wide
                    continue
                values = np.asarray(wide)
                for band in bands:
                    apart = np.ascontiguousarray(values[:, band :: self._pieces.times])
                    yield band, piece.top, PIL.Image.fromarray(apart)
