"""Where a TIFF's strips lie, and whether they are there."""

from transforms.core.errors import ImageError
from transforms.decode.tiff.directory import Directory
from transforms.decode.tiff.samples import Samples
from transforms.decode.tiff.tags import Tag


def refuse_missing_strips(directory: Directory, samples: Samples) -> None:
    """Refuse an image whose strips are too few or empty: other bytes of the file would become its pixels."""
    if Tag.STRIPS not in directory:
        return
    height = samples.size[1]
    rows = min(directory.number(Tag.ROWS, height), height)
    needed = -(-height // max(rows, 1))
    if len(directory.numbers(Tag.STRIPS)) < needed or 0 in directory.numbers(Tag.STRIP_BYTES)[:needed]:
        raise ImageError("truncated", f"some of the {needed} strips of the TIFF are missing")
