"""Bound the bytes of pixels that a process decodes at a time, whatever the number of its threads."""

import collections
import contextlib
import threading
from collections.abc import Iterator

import PIL.Image

BYTES_PER_PIXEL = 8
"""Bytes for each of `max_pixels` that a process may hold: an RGBA image of the largest size beside its RGB."""

# The system's allocator keeps freed blocks of up to 32 MiB for each thread: eight threads that decoded one after
# another held the memory of eight images. Pillow's default is 16 MiB.
PIL.Image.core.set_block_size(64 << 20)  # type: ignore[attr-defined]

_MODES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
"""Bytes per pixel that Pillow takes for a mode; 4 for any other."""

_DECODERS = {"WEBP": 8, "AVIF": 8, "HEIF": 8, "TIFF": 4, "PPM": 4}
"""Bytes per pixel that a format's own decoder holds beside Pillow's image: canvases, planes, strips, scaled samples."""

_PROGRESSIVE = 6
"""Bytes per pixel of the coefficients of a progressive JPEG: three 16-bit ones, at full size."""


class Budget:
    """Share an amount among threads, first come, first served.

    A share that alone exceeds the capacity is given when nothing else is held.
    """

    def __init__(self) -> None:
        self._held = 0
        self._waiting: collections.deque[object] = collections.deque()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def share(self, amount: int, capacity: int) -> Iterator[None]:
        """Hold an amount, after waiting until it fits into the capacity."""
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(
                    lambda: self._waiting[0] is ticket and (not self._held or self._held + amount <= capacity)
                )
                self._held += amount
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._held -= amount
                self._changed.notify_all()


PIXELS = Budget()
"""The bytes of pixels that this process decodes now."""


def bytes_to_decode(image: PIL.Image.Image, full_size: tuple[int, int]) -> int:
    """Estimate the bytes that decoding an opened image takes at most: its pixels, their RGB, and the decoder's own.

    Args:
      image: the image, reduced by its draft.
      full_size: its width and height without the draft, in px.
    """
    width, height = image.size
    area, full_area = width * height, full_size[0] * full_size[1]
    own = _PROGRESSIVE if image.info.get("progressive") else _DECODERS.get(image.format or "", 0)
    converted = {"RGB": 0, "L": 0}.get(image.mode, 4)
    # A TIFF that is read in pieces knows their size.
    pieces = getattr(image, "decoder_bytes", 0)
    return area * (_MODES.get(image.mode, 4) + converted) + full_area * own + pieces
