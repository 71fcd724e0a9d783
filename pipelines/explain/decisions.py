"""What each stage decided about an image, in words: asked of the functions that decided it."""

import contextlib
from collections.abc import Iterator

import numpy as np

from transforms import Backbone, EmbeddingSpec
from transforms.backbones import find_backbone, note_of
from transforms.core.elements import Embedding, Image
from transforms.core.failures import Failure, meaning_of
from transforms.core.spec import OWN_PREPROCESSING
from transforms.decode.decoder import orientation
from transforms.decode.images import Decode
from transforms.decode.resizing import scaled_whole
from transforms.embed.canary import Worker


def fetched(image: Image) -> str:
    """Say what the fetch brought."""
    return f"{len(image.data):,} bytes, version {image.source.version or 'unknown'}"


def decoded(data: bytes, decode: Decode) -> Iterator[str]:
    """Say how bytes are decoded, as far as their header tells; nothing for those that cannot be opened."""
    with contextlib.suppress(Exception):
        image, _, full_size = decode.opened(data)
        yield f"{image.format} of {_px(full_size)}, mode {image.mode}"
        if "icc_profile" in image.info:
            yield f"an ICC profile, --color_profile {decode.color_profile}"
        size = image.size
        if size != full_size:
            yield f"decoded at {_px(size)}, reduced by its own transform"
        turn = orientation(image)
        if turn != 1:
            size = size[::-1] if turn >= 5 else size
            yield f"turned to {_px(size)}, EXIF orientation {turn}"
        for height, width in decode.sizes:
            if decode.central_fraction != 1:
                scaled = scaled_whole(size, (height, width), decode.central_fraction)
                yield f"scaled to {_px(scaled)}, --central_fraction {decode.central_fraction:g}"
            yield f"{decode.resize} to {_px((width, height))}, {decode.resize_filter}"


def loaded(backbone: Backbone, worker: Worker) -> Iterator[str]:
    """Say what computes."""
    if backbone.model:
        yield f"{backbone.name}, {note_of(backbone)}, in {backbone.precision}"
    else:
        yield f"{backbone.name}, {backbone.weights} weights, output {backbone.output}, in {backbone.precision}"
    yield str(worker)


def embedded(embedding: Embedding, spec: EmbeddingSpec) -> Iterator[str]:
    """Say what the backbone was given, and what it made of that."""
    height, width = spec.image_size
    own = spec.preprocess == OWN_PREPROCESSING
    preprocessing = find_backbone(spec.backbone).preprocessing if own else spec.preprocess
    vector = embedding.embedding
    yield f"uint8 [1, {height}, {width}, 3] -> {vector.dtype} [{len(vector)}]; preprocessing: {preprocessing}"
    yield f"fingerprint {spec.fingerprint}"


def measured(vector: np.ndarray) -> str:
    """Say what is seen of a vector: float [D]."""
    finite = vector[np.isfinite(vector)].astype(np.float64)
    lacks = f", {len(vector) - len(finite):,} not finite" if len(finite) < len(vector) else ""
    if not len(finite):
        return f"no number is finite, of {len(vector):,}"
    norm, zeros = np.sqrt(np.square(finite).sum()), np.count_nonzero(finite == 0)
    return f"norm {norm:.6g}, numbers from {finite.min():.4g} to {finite.max():.4g}, {zeros:,} zero{lacks}"


def failed(failure: Failure) -> Iterator[str]:
    """Say why an image is lost."""
    tries = f" after {failure.attempts} attempts" if failure.attempts > 1 else ""
    yield f"failed{tries}: {failure.reason} ({failure.kind}), {failure.error}: {failure.message}"
    yield f"which means: {meaning_of(failure.reason)}"


def _px(size: tuple[int, int]) -> str:
    """Return a width and a height in words."""
    return f"{size[0]} x {size[1]} px"
