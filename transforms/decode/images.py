"""`DecodeImages`: `decode_image` applied to a PCollection, in threads."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import apache_beam as beam
import numpy as np

from transforms.core.counters import count
from transforms.core.elements import Image, ImageFacts, Pixels, Size
from transforms.core.failures import FAILURES, Failure, failures_of
from transforms.core.spec import COLOR_PROFILES, LEAST_FRACTION, RESIZE_FILTERS, RESIZES, EmbeddingSpec
from transforms.core.stage import Stage, sized, typed
from transforms.core.thread_map import ThreadMap
from transforms.decode.decoder import Opened, decode_image, open_reduced


class Decoded(NamedTuple):
    """Outputs of `DecodeImages`."""

    pixels: beam.PCollection[Pixels]
    undecoded: beam.PCollection[Failure]


@dataclasses.dataclass(frozen=True)
class Decode:
    """Decode one image: Image -> Pixels; raise ImageError."""

    sizes: tuple[Size, ...]
    resize: str
    max_image_pixels: int
    resize_filter: str
    color_profile: str
    central_fraction: float

    def __call__(self, image: Image) -> Pixels:
        facts, by_size = self.decoded(image.data)
        count("images-decoded")
        return Pixels(image.source, facts, by_size)

    def decoded(self, data: bytes) -> tuple[ImageFacts, dict[Size, np.ndarray]]:
        """Decode encoded bytes, which need be no input's: see `decode_image`."""
        return decode_image(
            data,
            self.sizes,
            self.resize,
            self.max_image_pixels,
            resize_filter=self.resize_filter,
            color_profile=self.color_profile,
            central_fraction=self.central_fraction,
        )

    def opened(self, data: bytes) -> Opened:
        """Open encoded bytes as `decoded` does, to see what it decides: see `open_reduced`."""
        return open_reduced(data, self.sizes, self.max_image_pixels, self.central_fraction)


def decode_from_spec(spec: EmbeddingSpec, max_image_pixels: int) -> Decode:
    """Return how images are decoded for the embeddings of a spec; `max_image_pixels` as for `DecodeImages`."""
    # Also for the largest size of the run, towards which JPEGs were reduced.
    sizes = tuple(dict.fromkeys((spec.image_size, spec.decoded_for)))
    return Decode(sizes, spec.resize, max_image_pixels, spec.resize_filter, spec.color_profile, spec.central_fraction)


@dataclasses.dataclass
class DecodeImages(Stage):
    """Decode images: Image -> Decoded(Pixels, Failure).

    Args:
      image_sizes: each (height, width) that a backbone takes, in px; an image is decoded once for all.
      resize: 'crop', 'stretch' or 'pad', see `decode_image`.
      max_image_pixels: maximum width times height; also what a worker process decodes at a time, see `decode_image`.
      resize_filter: 'bilinear', 'nearest', 'bicubic', 'lanczos' or 'area'.
      color_profile: 'ignore' or 'apply', see `decode_image`.
      central_fraction: for 'crop', the part of the scaled sides that is cut out, from 0.01 to 1, see `decode_image`.
      num_threads: concurrent decoders in each worker process; None is one per core, 0 switches threads off.
      lookahead: maximum number of decoded images per bundle; a batch of them keeps the forward pass busy.
    """

    takes = Image

    image_sizes: Sequence[Size] = ((224, 224),)
    resize: str = "crop"
    max_image_pixels: int = 100_000_000
    resize_filter: str = "bilinear"
    color_profile: str = "ignore"
    central_fraction: float = 1.0
    num_threads: int | None = None
    lookahead: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        for option, value, choices in (
            ("resize", self.resize, RESIZES),
            ("resize_filter", self.resize_filter, RESIZE_FILTERS),
            ("color_profile", self.color_profile, COLOR_PROFILES),
        ):
            if value not in choices:
                raise ValueError(f"{option} must be one of {', '.join(choices)}, is {value!r}")
        if not LEAST_FRACTION <= self.central_fraction <= 1:
            raise ValueError(f"central_fraction must be from {LEAST_FRACTION} to 1, is {self.central_fraction}")
        if self.central_fraction != 1 and self.resize != "crop":
            raise ValueError(f"central_fraction is for resize='crop', not {self.resize!r}")
        if not self.image_sizes or min(map(min, self.image_sizes)) < 1:
            raise ValueError(f"image_sizes must be positive heights and widths, are {self.image_sizes}")

    @property
    def function(self) -> Decode:
        """The function that is applied to each image."""
        sizes = tuple(dict.fromkeys((h, w) for h, w in self.image_sizes))
        return Decode(
            sizes, self.resize, self.max_image_pixels, self.resize_filter, self.color_profile, self.central_fraction
        )

    def expand(self, images: beam.PCollection[Image]) -> Decoded:
        decode = ThreadMap(failures_of("decode", self.function, Image), self.num_threads, self.lookahead)
        decoded = images | beam.ParDo(decode).with_outputs(FAILURES, main="pixels")
        return Decoded(sized(typed(decoded.pixels, Pixels), self.function.sizes), typed(decoded[FAILURES], Failure))
