"""What flows between the stages: one dataclass for each noun.

An image enters as an `ImageUri`, and leaves as exactly one `Embedding` or one `transforms.core.failures.Failure`. The
carried columns of its uri list travel with it unchanged.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

Size = tuple[int, int]
"""Height and width in px, in the order of an array's axes."""


@dataclasses.dataclass(frozen=True)
class ImageUri:
    """Where an image is, and the columns that its uri list carries for it.

    Attributes:
      version: what tells the image from its earlier and later selves, as far as it is known; '' where nothing does.
        After the fetch, that of the bytes that were read. Its forms: `transforms.core.image_versions`.
      held: by its name, what each collection that needs the image has of it; None where all need it, and have nothing.
      known_version: a version that needs no fetch; '' where there is none.
    """

    uri: str
    columns: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    version: str = ""
    known_version: str = ""
    held: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class Image:
    """The encoded bytes of an image, as they were fetched."""

    source: ImageUri
    data: bytes


@dataclasses.dataclass(frozen=True)
class ImageFacts:
    """What is known about a decoded image.

    Attributes:
      width: width in px, after EXIF orientation.
      height: height in px, likewise.
      format: Pillow's name of the format, e.g. 'JPEG'.
      sha256: hash of the encoded bytes, in hex.
    """

    width: int
    height: int
    format: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class Pixels:
    """A decoded image: uint8 [H, W, 3] RGB for each size that a backbone takes."""

    source: ImageUri
    facts: ImageFacts
    by_size: Mapping[Size, np.ndarray]

    @property
    def image_sizes(self) -> tuple[Size, ...]:
        """Each (height, width) in px that there is."""
        return tuple(self.by_size)


@dataclasses.dataclass(frozen=True)
class Embedding:
    """The vector of an image: float32 or float16 [D].

    Attributes:
      top: the best classes as (id, name, score), best first; empty unless they were asked for.
    """

    source: ImageUri
    facts: ImageFacts
    embedding: np.ndarray
    top: tuple[tuple[str, str, float], ...] = ()
