"""Whether the strips and tiles of a TIFF are there: else other bytes, or a decoder's grey, become its pixels."""

from transforms.core.errors import ImageError
from transforms.decode.formats.tiff.directory import Directory
from transforms.decode.formats.tiff.samples import Samples
from transforms.decode.formats.tiff.tags import Photometric, Tag

_UNCOMPRESSED, _JPEG = 1, 7


def refuse_missing_strips(directory: Directory, samples: Samples) -> None:
    """Refuse an image whose strips or tiles are too few, empty, behind the end of the file, or short.

    Raises:
      ImageError: truncated.
    """
    tiled = Tag.TILES in directory
    starts, lengths = (Tag.TILES, Tag.TILE_BYTES) if tiled else (Tag.STRIPS, Tag.STRIP_BYTES)
    if starts not in directory:
        return
    width, height = samples.size
    columns = directory.number(Tag.TILE_WIDTH, 0) if tiled else width
    rows = directory.number(Tag.TILE_HEIGHT, 0) if tiled else min(directory.number(Tag.ROWS, height), height)
    per_plane = -(-height // max(rows, 1)) * -(-width // max(columns, 1))
    needed = per_plane * (samples.shown if samples.planar else 1)
    places = list(zip(directory.numbers(starts), directory.numbers(lengths), strict=False))[:needed]
    what = f"of the {needed} {'tiles' if tiled else 'strips'} of the TIFF"
    if len(directory.numbers(starts)) < needed or any(0 in place for place in places):
        raise ImageError("truncated", f"some {what} are missing")
    # Lengths that are too large are usual, and so are wrong ones where there is one strip: libtiff ignores them, too.
    if any(start >= len(directory.data) for start, _ in places):
        raise ImageError("truncated", f"some {what} lie behind its end")
    for i, (start, length) in enumerate(places):
        last = 0 if tiled or (i + 1) % per_plane else per_plane * rows - height
        if len(directory.numbers(starts)) > 1 and _is_short(samples, start, length, columns, rows - last):
            raise ImageError("truncated", f"some {what} are short")


def _is_short(samples: Samples, start: int, length: int, columns: int, rows: int) -> bool:
    """Whether a strip or tile holds less than its pixels, as far as that can be seen without decoding it."""
    if samples.compression == _JPEG:
        # libjpeg makes grey of what is not there.
        return samples.directory.data.rfind(b"\xff\xd9", start, start + length) < 0
    if samples.compression != _UNCOMPRESSED or samples.photometric == Photometric.YCBCR:
        return False
    return length < rows * -(-columns * (1 if samples.planar else samples.count) * samples.bits // 8)
