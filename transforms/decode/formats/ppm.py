"""PBM, PGM and PPM: short headers alone, and samples that numpy scales, where Pillow takes them one by one."""

import re
from collections.abc import Iterator

import numpy as np
import PIL.Image
from PIL import ImageFile, PpmImagePlugin

from transforms.core.errors import ImageError

MAX_HEADER = 1 << 16
"""Longest header, in bytes: Pillow reads it byte by byte, so that a comment of 40 MB took 40 s."""

_GAP = rb"(?:\s|#[^\r\n]*[\r\n])"
_HEADERS = re.compile(rb"P[14]%b+(?:[^\s#]+%b+){2}|P\w{1,5}%b+(?:[^\s#]+%b+){3}" % ((_GAP,) * 4))
_MAGIC = re.compile(rb"P(?:[1-6fy]|0CMYK)")
_PLAIN = re.compile(rb"[\d\s]*")
_SPACE = re.compile(rb"\s")
_BLOCK = 1 << 20
"""Bytes that are turned into numbers at a time."""


def refuse_long_header(data: bytes) -> None:
    """Refuse a PBM, PGM or PPM whose pixels begin later than in any that a program writes.

    Raises:
      ImageError: too_many_parts.
    """
    if len(data) > MAX_HEADER and _MAGIC.match(data) and not _HEADERS.match(data[:MAX_HEADER]):
        raise ImageError("too_many_parts", f"a PPM with a header of more than {MAX_HEADER} bytes")


class ScaledDecoder(ImageFile.PyDecoder):
    """Decode samples of 8 or 16 bits whose white is not 255: scaled as Pillow does it."""

    _pulls_fd = True

    def decode(self, buffer: object) -> tuple[int, int]:
        """Read all samples, and scale them by a table of each value."""
        white = 1 if self.mode == "1" else int(self.args[-1])
        type_, top = (np.int32, 65535) if self.mode == "I" else (np.uint8, 255)
        table = np.rint(np.arange(white + 1) / white * top).astype(type_)
        samples = np.zeros(self.state.xsize * self.state.ysize * PIL.Image.getmodebands(self.mode), type_)
        filled = 0
        for block in self.blocks(white):
            block = block[: samples.size - filled]
            if block.max(initial=0) > white:
                raise ValueError(f"a sample of {block.max()}, where white is {white}")
            samples[filled : filled + block.size] = table[block]
            filled += block.size
            if filled == samples.size:
                break
        else:
            raise EOFError(f"{filled} of {samples.size} samples")
        # In a PBM, 1 is black.
        raw = {"1": "1;8", "I": "I;32"}.get(self.mode, self.mode)
        self.set_as_raw((255 - samples if self.mode == "1" else samples).data, raw)  # type: ignore[arg-type]
        return -1, 0

    def blocks(self, white: int) -> Iterator[np.ndarray]:
        """Give the samples, some at a time."""
        assert self.fd is not None
        type_ = np.dtype(">u2" if white > 255 else "u1")
        while block := self.fd.read(_BLOCK):
            yield np.frombuffer(block, type_, len(block) // type_.itemsize)


class PlainDecoder(ScaledDecoder):
    """Decode samples that are written as text."""

    def blocks(self, white: int) -> Iterator[np.ndarray]:
        """Give the samples, some at a time, up to what is no number."""
        assert self.fd is not None
        text = re.sub(rb"#[^\r\n]*", b"", self.fd.read())
        at = 0
        while at < len(text):
            gap = _SPACE.search(text, at + _BLOCK)
            end = gap.end() if gap else len(text)
            numbers = _PLAIN.match(text, at, end)
            assert numbers
            if self.mode == "1":
                # Their digits may stand side by side.
                yield np.frombuffer(numbers[0].translate(None, b" \t\n\v\f\r"), np.uint8) - ord("0")
            elif not numbers[0].isspace():
                yield np.fromstring(numbers[0], np.int64, sep=" ")
            if numbers.end() < end:
                raise ValueError(f"{text[numbers.end() : numbers.end() + 10]!r} is no sample")
            at = end


# Pillow's module, once imported, does not replace them again.
assert PpmImagePlugin
PIL.Image.register_decoder("ppm", ScaledDecoder)
PIL.Image.register_decoder("ppm_plain", PlainDecoder)
