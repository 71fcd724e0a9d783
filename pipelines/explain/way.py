"""The way of one image through the stages of a worker, as far as it comes: what each one made, and how long it took."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from transforms.core.elements import Embedding, Image, ImageUri, Pixels
from transforms.core.errors import ImageError
from transforms.core.failures import Failure
from transforms.embed.canary import Computed
from transforms.embed.images import EmbedBatch


@dataclasses.dataclass
class Way:
    """What became of an image.

    Attributes:
      source: where it is.
      seconds: how long each stage took, by its name, in the order in which they ran; the last may have failed.
      image: its bytes, once fetched.
      pixels: its pixels, once decoded.
      computed: what computes here, once the backbone is loaded.
      embedding: its vector, once embedded.
      failure: why it is lost, else None.
    """

    source: ImageUri
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    image: Image | None = None
    pixels: Pixels | None = None
    computed: Computed | None = None
    embedding: Embedding | None = None
    failure: Failure | None = None

    def timed(self, stage: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a stage makes of some arguments, and note how long it took."""
        began = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            self.seconds[stage] = time.perf_counter() - began


def way_of(
    source: ImageUri,
    fetch: Callable[[ImageUri], Image],
    decode: Callable[[Image], Pixels],
    load: Callable[[], EmbedBatch],
) -> Way:
    """Take an image through the stages, to its embedding or to its failure.

    Args:
      source: where the image is.
      fetch: the function that a worker applies to it.
      decode: likewise, to its bytes.
      load: function that returns what embeds a batch; called for an image that is decoded, and timed apart.

    Raises:
      UsageError: the backbone cannot be loaded.
      RunError: this machine computes otherwise than it must.
    """
    way, stage = Way(source), "fetch"
    try:
        way.image = way.timed(stage, fetch, source)
        stage = "decode"
        way.pixels = way.timed(stage, decode, way.image)
        embed = way.timed("load", _loaded, load)
        stage = "embed"
        ((_, outcome),), way.computed = way.timed(stage, embed, [way.pixels])
        if isinstance(outcome, ImageError):
            raise outcome
        way.embedding = outcome
    except ImageError as e:
        way.failure = Failure.of(source, stage, e)
    return way


def _loaded(load: Callable[[], EmbedBatch]) -> EmbedBatch:
    embed = load()
    embed.loaded()
    return embed
