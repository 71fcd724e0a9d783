"""The rows of a TIFF some at a time, each as a grey image with a directory of its own.

Of each piece only its own strips or tiles are taken, so that neither the samples of the whole image are held at once,
nor its planes.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import PIL.Image
from PIL import ImageFile, TiffImagePlugin

from transforms.core.errors import ImageError
from transforms.decode.deadline import TimedFile
from transforms.decode.formats.tiff.rewriting import with_directory
from transforms.decode.formats.tiff.samples import Samples
from transforms.decode.formats.tiff.tags import Photometric, Tag

_SAMPLES = 1 << 20
"""Samples that are read at a time, if the strips are not larger; the allocator keeps some of them for each thread."""

_KEPT = (Tag.COMPRESSION, Tag.FILL_ORDER, Tag.PREDICTOR, Tag.TILE_HEIGHT, Tag.JPEG_TABLES)
"""Tags that a grey directory takes over as they are."""


class Piece(NamedTuple):
    """Whole rows: where they are in the image, and the strips or tiles that hold them."""

    top: int
    height: int
    starts: Sequence[int]
    lengths: Sequence[int]


class Pieces:
    """How a TIFF is divided: n samples side by side are a grey image of n times the width."""

    def __init__(self, samples: Samples):
        directory = samples.directory
        self.samples, self.times = samples, 1 if samples.planar else samples.count
        self.tiled = Tag.TILES in directory
        width, height = samples.size
        self.columns = directory.number(Tag.TILE_WIDTH, 0) if self.tiled else width
        rows = directory.number(Tag.TILE_HEIGHT, 0) if self.tiled else min(directory.number(Tag.ROWS, height), height)
        self.rows = max(rows, 1)
        self.across, self.down = -(-width // max(self.columns, 1)), -(-height // self.rows)
        self.at_once = min(max(_SAMPLES // max(width * self.times, 1), 1), max(height, 1))

    @property
    def largest(self) -> int:
        """The samples of the largest piece, or of the largest tile."""
        columns = max(self.samples.size[0], self.columns)
        divided = not self.tiled and self.samples.compression == 1
        return columns * self.times * (self.at_once if divided else max(self.at_once, self.rows))

    def __call__(self, plane: int) -> Iterator[Piece]:
        """Give the pieces of a plane."""
        directory, height = self.samples.directory, self.samples.size[1]
        starts, lengths = (
            directory.numbers(tag)[plane * self.across * self.down :][: self.across * self.down]
            for tag in ((Tag.TILES, Tag.TILE_BYTES) if self.tiled else (Tag.STRIPS, Tag.STRIP_BYTES))
        )
        if not self.tiled and self.samples.compression == 1:
            row = -(-self.columns * self.times * self.samples.bits // 8)
            for strip, start in enumerate(starts):
                end = min((strip + 1) * self.rows, height)
                for top in range(strip * self.rows, end, self.at_once):
                    rows = min(self.at_once, end - top)
                    yield Piece(top, rows, [start + (top - strip * self.rows) * row], [rows * row])
            return
        step = max(self.at_once // self.rows, 1)
        for first in range(0, self.down, step):
            parts = slice(first * self.across, (first + step) * self.across)
            top = first * self.rows
            yield Piece(top, min(step * self.rows, height - top), starts[parts], lengths[parts])


class _Grey(TiffImagePlugin.TiffImageFile):
    def load_prepare(self) -> None:
        # Pillow would take the samples of a row for its pixels; `refuse_large` has bounded them.
        ImageFile.ImageFile.load_prepare(self)


def refuse_large(pieces: Pieces) -> None:
    """Refuse strips or tiles that are larger than what may be decoded at a time.

    Raises:
      ImageError: too_many_pixels.
    """
    limit = max(2 * (PIL.Image.MAX_IMAGE_PIXELS or 0), 16 * _SAMPLES)
    if pieces.largest > limit:
        raise ImageError("too_many_pixels", f"a strip or tile of {pieces.largest} samples, more than {limit}")


def read_piece(pieces: Pieces, piece: Piece, until: float) -> PIL.Image.Image:
    """Open a piece as a grey image: as wide as its samples; `until` is that of `TimedFile`."""
    samples, directory = pieces.samples, pieces.samples.directory
    parts = [directory.data[start : start + n] for start, n in zip(piece.starts, piece.lengths, strict=True)]
    lengths = [len(part) for part in parts]
    starts = [0, *np.cumsum(lengths).tolist()[:-1]]
    tags: dict[int, Sequence[int]] = {tag: directory.numbers(tag) for tag in _KEPT if tag in directory}
    tags |= {Tag.WIDTH: [samples.size[0] * pieces.times], Tag.HEIGHT: [piece.height], Tag.BITS: [samples.bits]}
    tags |= {Tag.SAMPLES: [1], Tag.PLANAR: [1], Tag.PHOTOMETRIC: [Photometric.BLACK_IS_ZERO]}
    # Of whole numbers Pillow reads unsigned 8 and 16 bits and signed 32 in both orders; their bits are the same.
    tags |= {Tag.SAMPLE_FORMAT: [3 if samples.format == 3 else 2 if samples.bits == 32 else 1]}
    if pieces.tiled:
        tags |= {Tag.TILE_WIDTH: [pieces.columns * pieces.times], Tag.TILES: starts, Tag.TILE_BYTES: lengths}
    else:
        rows = pieces.rows if len(parts) > 1 else piece.height
        tags |= {Tag.ROWS: [rows], Tag.STRIPS: starts, Tag.STRIP_BYTES: lengths}
    # Twelve bits are packed alike in both orders, and Pillow knows one.
    order = "<" if samples.bits == 12 else directory.order
    grey = _Grey(TimedFile(with_directory(b"".join(parts), order, tags), until))
    grey.load()
    return PIL.Image.fromarray(np.asarray(grey).byteswap()) if samples.is_swapped_twice else grey
