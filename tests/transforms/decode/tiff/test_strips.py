"""Strips that are not there."""

import io
import struct

import numpy as np
import pytest
import tifffile

from transforms import ImageError
from transforms.decode import decode_image


@pytest.mark.parametrize("num_bytes", [0, None])
def test_a_strip_that_is_missing_is_not_made_of_other_bytes(num_bytes: int | None) -> None:
    """(3b) The header would become pixels."""
    file = io.BytesIO()
    tifffile.imwrite(file, np.full((32, 16), 200, np.uint8), rowsperstrip=16, photometric="minisblack")
    data = bytearray(file.getvalue())
    for tag in tifffile.TiffFile(io.BytesIO(data)).pages[0].tags.values():
        if num_bytes is None and tag.name in ("StripOffsets", "StripByteCounts"):
            # One strip instead of two.
            data[tag.offset + 4 : tag.offset + 8] = struct.pack("<I", 1)
            data[tag.offset + 8 : tag.offset + 12] = struct.pack("<I", tag.value[0])
        elif num_bytes == 0 and tag.name == "StripByteCounts":
            data[tag.valueoffset + 2 : tag.valueoffset + 4] = bytes(2)
    with pytest.raises(ImageError, match="are missing") as refused:
        decode_image(bytes(data), [(16, 16)])
    assert refused.value.reason == "truncated"
