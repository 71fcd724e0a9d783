"""Image embeddings as Beam transforms.

    uris ──► image bytes ──► pixels ──► embeddings ──► files ──► manifest

    uris, unread, counts = root | ReadImageUris(["photos/"])
    images, unchanged, unfetched = uris | FetchImages()
    pixels, undecoded = images | DecodeImages()
    embeddings, unembedded, canaries = pixels | EmbedImages(Backbone("MobileNetV2"))

An image travels as an `ImageUri`, an `Image` (encoded bytes) and `Pixels` (uint8 [H, W, 3]), and leaves as either
an `Embedding` (float32 [D]) or a `Failure` that names the stage and the reason. Each stage returns a named tuple of
what goes on and what was lost. Pixels never cross a shuffle: runners fuse the stages from fetching to embedding into
one.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transforms.backbones import Backbone, embedding_spec
    from transforms.commit.commit import WriteManifest
    from transforms.core.elements import Embedding, Image, ImageFacts, ImageUri, Pixels
    from transforms.core.errors import ImageError
    from transforms.core.failures import Failure
    from transforms.core.spec import EmbeddingSpec
    from transforms.decode import DecodeImages
    from transforms.embed.images import EmbedImages
    from transforms.fetch.images import FetchImages
    from transforms.measure.health import MeasureHealth
    from transforms.measure.reasons import CountReasons
    from transforms.read.uris import ReadImageUris
    from transforms.write.failures import WriteFailures
    from transforms.write.parquet import WriteEmbeddingsToParquet
    from transforms.write.tfrecord import WriteEmbeddingsToTFRecord

    __version__: str

__all__ = [
    "Backbone",
    "CountReasons",
    "DecodeImages",
    "EmbedImages",
    "Embedding",
    "EmbeddingSpec",
    "Failure",
    "FetchImages",
    "Image",
    "ImageError",
    "ImageFacts",
    "ImageUri",
    "MeasureHealth",
    "Pixels",
    "ReadImageUris",
    "WriteEmbeddingsToParquet",
    "WriteEmbeddingsToTFRecord",
    "WriteFailures",
    "WriteManifest",
    "embedding_spec",
]

_HOMES = {
    "Backbone": "transforms.backbones",
    "embedding_spec": "transforms.backbones",
    "DecodeImages": "transforms.decode",
    "Embedding": "transforms.core.elements",
    "Image": "transforms.core.elements",
    "ImageFacts": "transforms.core.elements",
    "ImageUri": "transforms.core.elements",
    "Pixels": "transforms.core.elements",
    "EmbedImages": "transforms.embed.images",
    "CountReasons": "transforms.measure.reasons",
    "Failure": "transforms.core.failures",
    "ImageError": "transforms.core.errors",
    "WriteFailures": "transforms.write.failures",
    "FetchImages": "transforms.fetch.images",
    "MeasureHealth": "transforms.measure.health",
    "WriteManifest": "transforms.commit.commit",
    "WriteEmbeddingsToParquet": "transforms.write.parquet",
    "EmbeddingSpec": "transforms.core.spec",
    "WriteEmbeddingsToTFRecord": "transforms.write.tfrecord",
    "ReadImageUris": "transforms.read.uris",
}


def __getattr__(name: str) -> Any:
    # Beam and Arrow are imported with the first stage, not with the package: a command's --help needs neither.
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def _version() -> str:
    """Return the installed version, or 'unknown' if the project is not installed."""
    import importlib.metadata

    try:
        return importlib.metadata.version("beam-image-embeddings")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
