"""Small pictures of images, fetched and decoded within the limits of a run, as the backbone sees them."""

import base64
import concurrent.futures
import dataclasses
import io
from collections.abc import Iterable

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
    """Return a thumbnail of each image: uris -> Thumbnail by uri.

    Args:
      uris: the images.
      limits: what bounds their fetch and their decoding.
      spec: what says how they are cut.
      tall: height of a thumbnail, in px.
    """
    fetch, size = fetch_within(limits).function, _size_of(spec, tall)
    decode = dataclasses.replace(decode_from_spec(spec, limits.max_image_pixels), sizes=(size,))

    def thumbnail(uri: str) -> Thumbnail:
        try:
            _, by_size = decode.decoded(fetch(ImageUri(uri)).data)
        except ImageError as e:
            return Thumbnail("", size, f"{e.reason}: {e}")
        encoded = io.BytesIO()
        PIL.Image.fromarray(by_size[size]).save(encoded, "JPEG", quality=QUALITY)
        return Thumbnail(f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}", size)

    wanted = list(dict.fromkeys(uris))
    with concurrent.futures.ThreadPoolExecutor(limits.fetch_threads) as threads:
        return dict(zip(wanted, threads.map(thumbnail, wanted), strict=True))


def _size_of(spec: EmbeddingSpec, tall: int) -> Size:
    """Return height and width of a thumbnail, in the sides' ratio of what the backbone takes."""
    height, width = spec.image_size
    return tall, max(round(tall * width / height), 1)
