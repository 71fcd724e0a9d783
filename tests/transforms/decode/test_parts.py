"""Files of more parts than any encoder writes are refused before a decoder sees them."""

import io
import struct
from collections.abc import Callable

import PIL.Image
import pytest

from tests.conftest import sample_image
from tests.transforms.decode.encoding import chunk, encoded, reason_of, whole
from transforms import ImageError
from transforms.decode.parts import MAX_PARTS, MAX_SCANS, check_parts, png_chunks

JPEG = encoded(sample_image(1), "JPEG")
PNG = encoded(sample_image(1), "PNG")
GIF = encoded(sample_image(1, 64, 48), "GIF")


def jpeg_of(segments: int) -> bytes:
    return JPEG[:2] + b"\xff\xfe\0\2" * segments + JPEG[2:]


def png_of(chunks: int) -> bytes:
    return PNG[:33] + chunk(b"prVt") * chunks + PNG[33:]


def gif_of(blocks: int) -> bytes:
    header = 13 + (3 << (GIF[10] & 7) + 1)
    return GIF[:header] + b"!\xfe" + (b"\xff" + b"c" * 255) * blocks + b"\0" + GIF[header:]


def tiff_of(strips: int) -> bytes:
    """Return a TIFF of one row a strip, all of them the same byte."""
    tags = {256: (4, 1, 1), 257: (4, 1, strips), 258: (4, 1, 8), 259: (4, 1, 1), 262: (4, 1, 1)}
    tags |= {273: (4, strips, 10), 277: (4, 1, 1), 278: (4, 1, 1), 279: (4, strips, 10 + 4 * strips)}
    arrays = struct.pack("<I", 8) * strips + struct.pack("<I", 1) * strips
    entries = b"".join(struct.pack("<HHII", tag, *rest) for tag, rest in sorted(tags.items()))
    header = b"II*\0" + struct.pack("<I", 10 + len(arrays)) + b"\x80\0"
    return header + arrays + struct.pack("<H", len(tags)) + entries + bytes(4)


BOMBS: dict[str, Callable[[int], bytes]] = {"JPEG": jpeg_of, "PNG": png_of, "GIF": gif_of, "TIFF": tiff_of}


@pytest.mark.parametrize("file_format", BOMBS)
def test_one_part_more_than_the_limit_is_too_many(file_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven million segments took 10 s, five million strips 41 s, a comment of 59 MB two minutes (4a)."""
    # The image has parts of its own, and a limit in the thousands takes a second to reach.
    monkeypatch.setitem(MAX_PARTS, file_format, 100)
    assert whole(BOMBS[file_format](60)).size
    assert reason_of(BOMBS[file_format](101)) == "too_many_parts"


@pytest.mark.exhaustive
@pytest.mark.parametrize("file_format", BOMBS)
def test_large_files_of_tiny_parts_are_refused(file_format: str) -> None:
    """The same at the real limits, with files of tens of MB (4a)."""
    assert reason_of(BOMBS[file_format](5_000_000 if file_format != "GIF" else 230_000)) == "too_many_parts"


@pytest.mark.exhaustive
def test_the_limits_leave_room_for_what_programs_write() -> None:
    """Extended XMP and depth maps fill segments, tiny chunks PNGs, and a strip a row large scans (4a)."""
    for file_format, parts in (("JPEG", 1_100), ("PNG", 9_000), ("GIF", 2_000), ("TIFF", 30_000)):
        assert whole(BOMBS[file_format](parts)).size, file_format


def scans(data: bytes, more: int) -> bytes:
    """Return a progressive JPEG whose first scan is repeated."""
    scan = data[data.index(b"\xff\xda") : data.index(b"\xff\xda") + 14]
    return data[:-2] + scan * more + data[-2:]


def test_a_progressive_jpeg_of_too_many_scans_is_refused() -> None:
    data = encoded(sample_image(1), "JPEG", progressive=True)
    check_parts(data)
    assert reason_of(scans(data, MAX_SCANS + 1)) == "too_many_scans"


def test_scans_behind_the_image_and_in_thumbnails_are_not_counted() -> None:
    """A video behind a photo, as phones store it, was taken for scans (3d)."""
    assert (whole(JPEG + b"\xff\xda\xff\xda" * 10_000) == whole(JPEG)).all()
    thumbnail = b"Exif\0\0" + b"\xff\xda" * 30_000
    inside = JPEG[:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2) + thumbnail + JPEG[2:]
    assert (whole(inside) == whole(JPEG)).all()


def test_chunks_are_given_with_their_places() -> None:
    kinds = [(kind, PNG[start + 4 : start + 8]) for kind, start, _ in png_chunks(PNG)]
    assert kinds[0] == (b"IHDR", b"IHDR")
    assert kinds[-1] == (b"IEND", b"IEND")
    assert list(png_chunks(PNG))[-1][2] == len(PNG)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xe0", PNG[:9], GIF[:11], b"GIF89a", b"RIFF", PNG[:40]]
)
def test_what_ends_early_has_few_parts(data: bytes) -> None:
    check_parts(data)
    with pytest.raises((OSError, ImageError)):
        PIL.Image.open(io.BytesIO(data)).load()
