"""A file in memory that a decoder may read for a limited time.

Pillow's decoders read their input piece by piece through `read`, so that this ends the ones of JPEG, PNG, GIF, BMP,
PPM, ICO and uncompressed TIFF. WebP, AVIF, HEIF and compressed TIFF are given all bytes at once, and cannot be ended:
what bounds them is their number of pixels and parts.
"""

import io
import time

from transforms.core.errors import ImageError

MAX_SECONDS = 60.0
"""Longest time that a decoder may compute on one image, in s of its thread, not counting waits."""


class TimedFile(io.BytesIO):
    """Bytes that can be read until a time: `until` is in s of time.thread_time(), default MAX_SECONDS from now."""

    def __init__(self, data: bytes, until: float | None = None):
        super().__init__(data)
        self.until = time.thread_time() + MAX_SECONDS if until is None else until

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as any file; raise ImageError if the time is over."""
        if time.thread_time() > self.until:
            raise ImageError("too_slow", f"not decoded within {MAX_SECONDS:.0f} s of computing")
        return super().read(size)
