"""The frame of a JPEG: its process, and samples that Pillow does not read."""

from collections.abc import Iterator
from typing import NamedTuple

from transforms.decode.parts import jpeg_segments

_NO_FRAME = (0xC4, 0xC8, 0xCC)
"""Markers among those of frames that begin tables and extensions."""
_LOSSLESS = (0xC3, 0xC7, 0xCB, 0xCF)


class Frame(NamedTuple):
    """How a picture is coded: its marker, bits per sample, components."""

    marker: int
    bits: int
    components: int


def frames(data: bytes) -> Iterator[Frame]:
    """Give the frames that a JPEG declares before its first scan: one, unless it is broken."""
    for marker, start in jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME and start + 8 <= len(data):
            yield Frame(marker, data[start + 2], data[start + 7])


def may_be_reduced(data: bytes) -> bool:
    """Whether a file is no lossless JPEG, by which libjpeg-turbo writes past its memory when it reduces it."""
    return not (data.startswith(b"\xff\xd8") and any(frame.marker in _LOSSLESS for frame in frames(data)))


def unread_samples(data: bytes) -> str:
    """Say which samples of a JPEG Pillow does not read, '' if it reads them."""
    for frame in frames(data):
        if frame.bits != 8:
            return f"a JPEG of {frame.bits} bits per sample"
        if frame.components not in (1, 3, 4):
            return f"a JPEG of {frame.components} components"
    return ""
