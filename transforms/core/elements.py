"""What flows between the stages: one dataclass for each noun.

An image enters as an `ImageUri`, and leaves as exactly one `Embedding` or one `transforms.core.failures.Failure`.
The carried columns of its manifest ride along untouched.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

Size = tuple[int, int]
"""Height and width in pixels, in the order of an array's axes."""


@dataclasses.dataclass(frozen=True)
class ImageUri:
    """Where an image is, and the columns that its manifest says about it."""

    uri: str
    columns: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Image:
    """The encoded bytes of an image, as they were fetched.

    Attributes:
      generation: which version of its object this is, None where the storage keeps none.
      size: of the stored object in bytes, None likewise.
    """

    source: ImageUri
    data: bytes
    generation: int | None = None
    size: int | None = None


@dataclasses.dataclass(frozen=True)
class ImageFacts:
    """What was seen of an image: `width` and `height` in px after EXIF orientation, sha256 of the encoded bytes."""

    width: int
    height: int
    format: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class Pixels:
    """A decoded image: for each size that a backbone asked for, uint8 [H, W, 3] RGB."""

    source: ImageUri
    facts: ImageFacts
    by_size: Mapping[Size, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Embedding:
    """The vector of an image: float32 [D]; with `top_k`, its classes as (id, name, score), best first."""

    source: ImageUri
    facts: ImageFacts
    embedding: np.ndarray
    top: tuple[tuple[str, str, float], ...] = ()
