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
    from transforms.decode import DecodeImages
    from transforms.elements import Embedding, Image, ImageFacts, ImageUri, Pixels
    from transforms.embed import EmbedImages
    from transforms.failures import CountReasons, Failure, ImageError, WriteFailures
    from transforms.fetch import FetchImages
    from transforms.health import MeasureHealth
    from transforms.manifest import WriteManifest
    from transforms.parquet import WriteEmbeddingsToParquet
    from transforms.spec import EmbeddingSpec
    from transforms.tfrecord import WriteEmbeddingsToTFRecord
    from transforms.uris import ReadImageUris

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
    "Embedding": "transforms.elements",
    "Image": "transforms.elements",
    "ImageFacts": "transforms.elements",
    "ImageUri": "transforms.elements",
    "Pixels": "transforms.elements",
    "EmbedImages": "transforms.embed",
    "CountReasons": "transforms.failures",
    "Failure": "transforms.failures",
    "ImageError": "transforms.failures",
    "WriteFailures": "transforms.failures",
    "FetchImages": "transforms.fetch",
    "MeasureHealth": "transforms.health",
    "WriteManifest": "transforms.manifest",
    "WriteEmbeddingsToParquet": "transforms.parquet",
    "EmbeddingSpec": "transforms.spec",
    "WriteEmbeddingsToTFRecord": "transforms.tfrecord",
    "ReadImageUris": "transforms.uris",
}


def __getattr__(name: str) -> Any:
    # Beam and Arrow are imported with the first stage, not with the package: a command's --help needs neither.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
