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

from transforms.backbones import Backbone
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
]
