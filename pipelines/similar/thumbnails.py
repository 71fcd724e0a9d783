"""Small pictures of images, fetched and decoded within the limits of a run, as the backbone sees them."""

import base64
import concurrent.futures
import dataclasses
import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import PIL.Image

from pipelines.options.settings import Limits
from pipelines.plan.stages import fetch_within
from transforms import EmbeddingSpec
from transforms.core.elements import ImageUri, Size
from transforms.core.errors import ImageError
from transforms.decode.images import decode_from_spec

HEIGHT = 160
"""Height of a thumbnail, in px, unless another is asked for."""
QUALITY = 85
"""Of its JPEG."""


@dataclasses.dataclass(frozen=True)
class Thumbnail:
    """A picture as a data uri of a JPEG, or why there is none.

    Attributes:
      data_uri: the uri; '' if there is no picture.
      size: height and width, in px.
      lack: the reason, with the words of the failure; '' if there is a picture.
    """

    data_uri: str
    size: Size
    lack: str = ""


def thumbnails_of(uris: Iterable[str], limits: Limits, spec: EmbeddingSpec, tall: int = HEIGHT) -> dict[str, Thumbnail]:
    """Return a thumbnail of each image, so tall in px: uris -> Thumbnail by uri."""
    wanted, size = list(dict.fromkeys(uris)), _size_of(spec, tall)
    return {
        uri: Thumbnail("", size, f"{found.reason}: {found}")
        if isinstance(found, ImageError)
        else Thumbnail(_data_uri(found), size)
        for uri, found in zip(wanted, pixels_of(wanted, limits, spec, size), strict=True)
    }


def pixels_of(
    uris: Sequence[str], limits: Limits, spec: EmbeddingSpec, size: Size
) -> Iterator[np.ndarray | ImageError]:
    """Fetch and decode images as the backbone sees them: uris -> uint8 [H, W, 3] for each, or why there is none.

    Args:
      uris: the images.
      limits: what bounds their fetch and their decoding.
      spec: what says how they are cut.
      size: H and W, in px.
    """
    fetch = fetch_within(limits).function
    decode = dataclasses.replace(decode_from_spec(spec, limits.max_image_pixels), sizes=(size,))

    def pixels(uri: str) -> np.ndarray | ImageError:
        try:
            return decode.decoded(fetch(ImageUri(uri)).data)[1][size]
        except ImageError as e:
            return e

    with concurrent.futures.ThreadPoolExecutor(limits.fetch_threads) as threads:
        yield from threads.map(pixels, uris)


def _data_uri(pixels: np.ndarray) -> str:
    encoded = io.BytesIO()
    PIL.Image.fromarray(pixels).save(encoded, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"


def _size_of(spec: EmbeddingSpec, tall: int) -> Size:
    """Return height and width of a thumbnail, in the sides' ratio of what the backbone takes."""
    height, width = spec.image_size
    return tall, max(round(tall * width / height), 1)
