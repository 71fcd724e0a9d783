"""What the samples of a TIFF are, and who can read them."""

from collections.abc import Mapping

import numpy as np
import PIL.Image

from transforms.decode.formats.tiff.directory import Directory
from transforms.decode.formats.tiff.tags import Photometric, Tag

_COLORS: Mapping[int, str] = {
    Photometric.WHITE_IS_ZERO: "L",
    Photometric.BLACK_IS_ZERO: "L",
    Photometric.RGB: "RGB",
    Photometric.CMYK: "CMYK",
    Photometric.YCBCR: "YCbCr",
}
_PHOTOMETRICS: Mapping[int, str] = {
    Photometric.PALETTE: "palette",
    Photometric.LAB: "CIELab",
    Photometric.FILTER_ARRAY: "colour filter array",
    Photometric.LINEAR_RAW: "linear raw",
}
_TYPE_NAMES = {1: "unsigned", 2: "signed", 3: "float"}


class Samples:
    """What the samples of a TIFF are."""

    def __init__(self, directory: Directory):
        self.directory = directory
        number = directory.number
        self.photometric = number(Tag.PHOTOMETRIC, Photometric.BLACK_IS_ZERO)
        self.planar = number(Tag.PLANAR, 1) == 2
        self.compression, self.predictor = number(Tag.COMPRESSION, 1), number(Tag.PREDICTOR, 1)
        bits = directory.numbers(Tag.BITS, (1,))
        self.count = number(Tag.SAMPLES, len(bits))
        self.bits = bits[0] if len(set(bits[: self.count])) == 1 else 0
        formats = directory.numbers(Tag.SAMPLE_FORMAT, (1,))
        self.format = formats[0] if len(set(formats)) == 1 else 0
        self.extra = directory.numbers(Tag.EXTRA)
        self.size = number(Tag.WIDTH, 0), number(Tag.HEIGHT, 0)

    def __str__(self) -> str:
        kind = _COLORS.get(self.photometric) or _PHOTOMETRICS.get(self.photometric, f"photometric {self.photometric}")
        planes = " in planes" if self.planar else ""
        type_ = _TYPE_NAMES.get(self.format, "mixed")
        samples = f"{self.count} x {self.bits or 'mixed'}-bit {type_}{planes}"
        return f"a TIFF of {kind}, {samples}, compression {self.compression}"

    @property
    def pillow_is_right(self) -> bool:
        """Whether Pillow reads such samples right, or is right to refuse them."""
        if (self.count > 1 and self.planar) or (self.directory.big and self.directory.order == ">"):
            # It takes big-endian BigTIFFs for small ones.
            return False
        if self.format == 2 and self.bits >= 8:
            # It takes signed bytes for unsigned ones.
            return False
        if self.photometric == Photometric.YCBCR:
            # It takes three bytes for four where it unpacks them itself.
            return self.compression != 1 or self.count < 3
        if self.count == 1:
            # It inverts 8 bits and fewer alone, and takes 12 bits for 16, and unsigned 32-bit numbers for signed ones.
            wrong = self.is_swapped_twice or self.bits == 12 or (self.bits, self.format) == (32, 1)
            return self.bits < 12 or (self.photometric != Photometric.WHITE_IS_ZERO and not wrong)
        return self.bits <= 8 or (self.bits == 16 and self.count > 2 and self.format == 1)

    @property
    def is_swapped_twice(self) -> bool:
        """Whether Pillow swaps the bytes of big-endian numbers after libtiff has done so."""
        return self.bits == 32 and self.directory.order == ">" and self.compression != 1

    @property
    def is_readable(self) -> bool:
        """Whether such samples can be read as grey images."""
        known = self.bits in (8, 16, 32) and (self.format in (1, 2) or (self.format, self.bits) == (3, 32))
        if self.bits == 12:
            # Pillow unpacks twelve bits by itself alone.
            known = self.count == 1 and self.format == 1 and self.compression == 1
        if self.photometric == Photometric.YCBCR and self.directory.numbers(Tag.SUBSAMPLING, (2, 2)) != (1, 1):
            return False
        return known and 0 < self.colors <= self.count and (self.planar or self.count == 1 or self.predictor == 1)

    @property
    def colors(self) -> int:
        """The number of samples that are colours: those of the photometric interpretation."""
        return len(PIL.Image.getmodebandnames(_COLORS[self.photometric])) if self.photometric in _COLORS else 0

    @property
    def whole(self) -> np.dtype | None:
        """The type of samples that are whole numbers."""
        width = {8: 1, 12: 2, 16: 2, 32: 4}.get(self.bits)
        return np.dtype(f"{'i' if self.format == 2 else 'u'}{width}") if width and self.format in (1, 2) else None

    @property
    def shown(self) -> int:
        """The number of samples that are colours or alpha; all, if the colours are not known."""
        return len(PIL.Image.getmodebandnames(self.mode)) if 0 < self.colors <= self.count else self.count

    @property
    def mode(self) -> str:
        """Pillow's mode of the whole, with alpha or without."""
        color = _COLORS[self.photometric]
        if self.count == self.colors or color not in ("L", "RGB"):
            return color
        # Without the tag, a fourth sample is alpha, as Pillow has it.
        kind = self.extra[0] if self.extra else 2 if self.photometric == Photometric.RGB else 0
        return color + {0: "", 1: "a"}.get(kind, "A")
