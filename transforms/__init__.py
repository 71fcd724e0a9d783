"""Image embeddings as Beam transforms.

    uris ──► image bytes ──► pixels ──► embeddings ──► files ──► manifest

    uris, unread, counts = root | ReadImageUris(["photos/"])
    images, unfetched = uris | FetchImages()
    pixels, undecoded = images | DecodeImages()
    embeddings, unembedded = pixels | EmbedImages(Backbone("MobileNetV2"))

An image travels as an `ImageUri`, an `Image` (encoded bytes), `Pixels` (uint8 [H, W, 3]) and an `Embedding`
(float32 [D]), and leaves by exactly one of two doors: as an `Embedding`, or as a `Failure` that says which stage lost
it and why. Each stage gives a named tuple of what goes on and what was lost. Pixels never cross a shuffle: from fetch
to embedding, runners fuse the stages into one.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transforms.backbones import Backbone, embedding_spec
    from transforms.commit.commit import WriteManifest
    from transforms.core.elements import Embedding, Image, ImageFacts, ImageUri, Pixels
    from transforms.core.failures import CountReasons, Failure, ImageError, WriteFailures
    from transforms.core.spec import EmbeddingSpec
    from transforms.decode import DecodeImages
    from transforms.embed.images import EmbedImages
    from transforms.fetch.images import FetchImages
    from transforms.measure.health import MeasureHealth
    from transforms.read.uris import ReadImageUris
    from transforms.write.parquet import WriteEmbeddingsToParquet
    from transforms.write.tfrecord import WriteEmbeddingsToTFRecord

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
    "CountReasons": "transforms.core.failures",
    "Failure": "transforms.core.failures",
    "ImageError": "transforms.core.failures",
    "WriteFailures": "transforms.core.failures",
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
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
