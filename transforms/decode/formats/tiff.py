"""TIFFs whose samples Pillow reads wrong, or not at all, and those that only a thumbnail stands for.

Pillow reads grey samples of every type right. So what it does not read is opened as grey images, each through a
directory of its own that is put behind the file's bytes: a plane is a grey image, and n samples side by side are a grey
image of n times the width. Their 8-bit versions are put together again.
"""

import re
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image
from PIL import ImageChops, ImageFile, TiffImagePlugin

from transforms.core.errors import ImageError
from transforms.decode.deadline import TimedFile
from transforms.decode.grey import in_strips, to_8_bits
from transforms.decode.parts import refuse_more

_TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
"""Types of a directory's whole numbers, by the letters of `struct`."""

_ORDERS = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">"}
"""Byte order by the first bytes; + is BigTIFF."""

(_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER) = (254, 256, 257, 258, 259, 262, 266)
(_STRIPS, _ORIENTATION, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANAR, _PREDICTOR) = (273, 274, 277, 278, 279, 284, 317)
(_TILE_WIDTH, _TILES, _TILE_BYTES, _SUB_DIRECTORIES, _EXTRA, _SAMPLE_FORMAT) = (322, 324, 325, 330, 338, 339)
(_JPEG_TABLES, _SUBSAMPLING, _PROFILE, _DNG_VERSION) = (347, 530, 34675, 50706)
_KEPT = (_HEIGHT, _COMPRESSION, _FILL_ORDER, _ROWS, _PREDICTOR, 323, _JPEG_TABLES)
"""Tags that a grey directory takes over as they are: also the height of strips and tiles."""

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
_COLORS = {_WHITE_IS_ZERO: "L", _BLACK_IS_ZERO: "L", _RGB: "RGB", _CMYK: "CMYK", _YCBCR: "YCbCr"}
_PHOTOMETRICS = {_PALETTE: "palette", _LAB: "CIELab", 32803: "colour filter array", 34892: "linear raw"}
_TYPE_NAMES = {1: "unsigned", 2: "signed", 3: "float"}


class Directory:
    """The first directory of a TIFF: whole numbers by tag.

    Args:
      data: bytes of the file.

    Raises:
      ImageError: corrupt or truncated, for a directory that cannot be read; too_many_parts.
    """

    def __init__(self, data: bytes):
        self.data = data
        self.order = _ORDERS[data[:4]]
        self.big = data[2:3] == b"+" or data[3:4] == b"+"
        try:
            self._fields = self._read()
        except struct.error as e:
            raise ImageError("truncated", "the directory of the TIFF lies behind its end") from e
        for tag in (_STRIPS, _TILES):
            refuse_more("TIFF", self._fields.get(tag, (0, 0, 0))[1])

    def _read(self) -> dict[int, tuple[int, int, int]]:
        """Return the type, the count and the position of each tag's numbers."""
        (start,) = self._unpack("Q" if self.big else "I", 8 if self.big else 4)
        count_type, entry = ("Q", "HHQ") if self.big else ("H", "HHI")
        (count,) = self._unpack(count_type, start)
        at, fields = start + struct.calcsize(f"={count_type}"), {}
        inline = 8 if self.big else 4
        for _ in range(min(count, 4096)):
            tag, type_, length = self._unpack(entry, at)
            at += struct.calcsize(f"={entry}")
            size = struct.calcsize(f"={_TYPES.get(type_, 'Q')}") * length
            position = at if size <= inline else self._unpack("Q" if self.big else "I", at)[0]
            fields[tag] = (type_, length, position)
            at += inline
        return fields

    def _unpack(self, letters: str, at: int) -> tuple[Any, ...]:
        return struct.unpack_from(self.order + letters, self.data, at)

    def __contains__(self, tag: int) -> bool:
        return tag in self._fields

    def numbers(self, tag: int, default: Sequence[int] = ()) -> tuple[int, ...]:
        """Return the numbers of a tag.

        Raises:
          ImageError: they lie behind the end of the file, or are no whole numbers.
        """
        if tag not in self._fields:
            return tuple(default)
        type_, length, position = self._fields[tag]
        try:
            return self._unpack(f"{length}{_TYPES[type_]}", position)
        except (KeyError, struct.error) as e:
            raise ImageError("corrupt", f"the TIFF's tag {tag} cannot be read") from e

    def number(self, tag: int, default: int) -> int:
        """Return the first number of a tag."""
        return next(iter(self.numbers(tag)), default)


class Samples:
    """What the samples of a TIFF are."""

    def __init__(self, directory: Directory):
        self.directory = directory
        number = directory.number
        self.photometric = number(_PHOTOMETRIC, _BLACK_IS_ZERO)
        self.planar = number(_PLANAR, 1) == 2
        self.compression, self.predictor = number(_COMPRESSION, 1), number(_PREDICTOR, 1)
        bits = directory.numbers(_BITS, (1,))
        self.count = number(_SAMPLES, len(bits))
        self.bits = bits[0] if len(set(bits[: self.count])) == 1 else 0
        formats = directory.numbers(_SAMPLE_FORMAT, (1,))
        self.format = formats[0] if len(set(formats)) == 1 else 0
        self.extra = directory.numbers(_EXTRA)
        self.size = number(_WIDTH, 0), number(_HEIGHT, 0)

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
        if self.photometric == _YCBCR:
            # It takes three bytes for four where it unpacks them itself.
            return self.compression != 1 or self.count < 3
        if self.count == 1:
            # It inverts 8 bits and fewer alone, and takes 12 bits for 16, and unsigned 32-bit numbers for signed ones.
            wrong = self.is_swapped_twice or self.bits == 12 or (self.bits, self.format) == (32, 1)
            return self.bits < 12 or (self.photometric != _WHITE_IS_ZERO and not wrong)
        return self.bits <= 8 or (self.bits == 16 and self.count > 2 and self.format == 1)

    @property
    def is_swapped_twice(self) -> bool:
        """Whether Pillow swaps the bytes of big-endian numbers after libtiff has done so."""
        wide = self.bits == 32 or (self.bits, self.format) == (16, 2)
        return wide and self.directory.order == ">" and self.compression != 1

    @property
    def is_readable(self) -> bool:
        """Whether such samples can be read as grey images."""
        known = self.bits in (8, 16, 32) and (self.format in (1, 2) or (self.format, self.bits) == (3, 32))
        if self.bits == 12:
            # Pillow unpacks twelve bits by itself alone.
            known = self.count == 1 and self.format == 1 and self.compression == 1
        if self.bits == 16 and self.is_swapped_twice:
            return False
        if self.photometric == _YCBCR and self.directory.numbers(_SUBSAMPLING, (2, 2)) != (1, 1):
            return False
        return known and 0 < self.colors <= self.count and (self.planar or self.count == 1 or self.predictor == 1)

    @property
    def colors(self) -> int:
        """The number of samples that are colours: those of the photometric interpretation."""
        return len(PIL.Image.getmodebandnames(_COLORS[self.photometric])) if self.photometric in _COLORS else 0

    @property
    def mode(self) -> str:
        """Pillow's mode of the whole, with alpha or without."""
        color = _COLORS[self.photometric]
        if self.count == self.colors or color not in ("L", "RGB"):
            return color
        # Without the tag, a fourth sample is alpha, as Pillow has it.
        kind = self.extra[0] if self.extra else 2 if self.photometric == _RGB else 0
        return color + {0: "", 1: "a"}.get(kind, "A")


def is_tiff(data: bytes) -> bool:
    """Whether bytes begin like a TIFF or BigTIFF."""
    return data[:4] in _ORDERS


def open_tiff(file: TimedFile) -> ImageFile.ImageFile:
    """Open a TIFF, by Pillow where it reads its samples right.

    Raises:
      ImageError: unsupported_raw, unsupported_color, unsupported_compression, or what `Directory` raises.
    """
    directory = Directory(file.getvalue())
    if _is_raw(directory):
        raise ImageError("unsupported_raw", "a camera's raw photo (DNG or the like): only its thumbnail can be read")
    samples = Samples(directory)
    if samples.compression == 1 and not samples.planar:
        _refuse_missing_strips(directory, samples)
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


def _refuse_missing_strips(directory: Directory, samples: Samples) -> None:
    """Refuse an image whose strips are too few or empty: other bytes of the file would become its pixels."""
    if _STRIPS not in directory:
        return
    height = samples.size[1]
    rows = min(directory.number(_ROWS, height), height)
    needed = -(-height // max(rows, 1))
    if len(directory.numbers(_STRIPS)) < needed or 0 in directory.numbers(_STRIP_BYTES)[:needed]:
        raise ImageError("truncated", f"some of the {needed} strips of the TIFF are missing")


def _is_raw(directory: Directory) -> bool:
    """Whether the first image of a file is a camera's raw sensor, or the thumbnail of one."""
    thumbnail = bool(directory.number(_SUBFILE, 0) & 1)
    sensor = directory.number(_PHOTOMETRIC, 0) in (32803, 34892)
    return (
        (_DNG_VERSION in directory and (thumbnail or sensor)) or sensor or (thumbnail and _SUB_DIRECTORIES in directory)
    )


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
        turned[_ORIENTATION] = self._samples.directory.number(_ORIENTATION, 1)
        self.info["exif"] = turned.tobytes()
        profile = self._samples.directory.numbers(_PROFILE)
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
        if samples.photometric == _WHITE_IS_ZERO:
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
        return to_8_bits(grey, self._samples.bits, unsigned=self._samples.format == 1)

    def _grey(self, times: int, plane: int) -> PIL.Image.Image:
        """Open the samples as one grey image: `times` the width, and the strips or tiles of a plane."""
        samples, directory = self._samples, self._samples.directory
        tags: dict[int, Sequence[int]] = {tag: directory.numbers(tag) for tag in _KEPT if tag in directory}
        tags |= {_WIDTH: [samples.size[0] * times], _BITS: [samples.bits], _SAMPLES: [1], _PLANAR: [1]}
        # Pillow reads signed 32-bit numbers in both orders; their bits are the same.
        format_ = 2 if (samples.bits, samples.format) == (32, 1) else samples.format
        tags |= {_PHOTOMETRIC: [_BLACK_IS_ZERO], _SAMPLE_FORMAT: [format_]}
        if _TILE_WIDTH in directory:
            tags[_TILE_WIDTH] = [directory.number(_TILE_WIDTH, 0) * times]
        for tag in (_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES):
            if tag in directory:
                numbers = directory.numbers(tag)
                per_plane = len(numbers) // samples.count if samples.planar else len(numbers)
                tags[tag] = numbers[plane * per_plane : (plane + 1) * per_plane]
        # Twelve bits are packed alike in both orders, and Pillow knows one.
        order = "<" if samples.bits == 12 else directory.order
        grey = TiffImagePlugin.TiffImageFile(TimedFile(_with_directory(directory.data, order, tags), self._file.until))
        grey.load()
        return in_strips(grey, grey.mode, _swapped) if samples.is_swapped_twice else grey


def _swapped(strip: PIL.Image.Image) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.asarray(strip).byteswap())


def _with_directory(data: bytes, order: str, tags: dict[int, Sequence[int]]) -> bytes:
    """Return a TIFF whose one directory holds some tags, and whose strips or tiles are those of a file's bytes."""
    # The file's bytes come behind a header of their own, since a strip may begin at once.
    moved = {tag: [n + 8 for n in values] if tag in (_STRIPS, _TILES) else values for tag, values in tags.items()}
    start = 8 + len(data)
    behind = start + 2 + 12 * len(moved) + 4
    entries, arrays = b"", b""
    for tag, values in sorted(moved.items()):
        type_ = 7 if tag == _JPEG_TABLES else 4
        packed = struct.pack(f"{order}{len(values)}{_TYPES[type_]}", *values)
        entries += struct.pack(f"{order}HHI", tag, type_, len(values))
        entries += packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack(f"{order}I", behind + len(arrays))
        arrays += packed if len(packed) > 4 else b""
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    return b"".join([header, data, struct.pack(f"{order}H", len(moved)), entries, bytes(4), arrays])
