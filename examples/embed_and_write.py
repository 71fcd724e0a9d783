"""Compose the transforms into a pipeline of your own, from photos to Parquet files.

python examples/embed_and_write.py PHOTOS OUTPUT
"""

import sys

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms import (
    Backbone,
    DecodeImages,
    EmbedImages,
    FetchImages,
    ReadImageUris,
    WriteEmbeddingsToParquet,
    WriteFailures,
    embedding_spec,
)


def embed_and_write(photos: str, output: str, backbone: Backbone) -> None:
    """Embed the photos of a folder, and write the embeddings and what was lost."""
    read = ReadImageUris([photos])
    with beam.Pipeline(FnApiRunner()) as root:
        uris, unread, _ = root | read
        images, _, unfetched = uris | FetchImages()
        pixels, undecoded = images | DecodeImages([backbone.size])
        embeddings, unembedded, _ = pixels | EmbedImages(backbone)
        _ = embeddings | WriteEmbeddingsToParquet(output, "run-1", embedding_spec(backbone), read.columns)
        _ = (unread, unfetched, undecoded, unembedded) | beam.Flatten() | WriteFailures(output, "run-1")


if __name__ == "__main__":
    embed_and_write(sys.argv[1], sys.argv[2], Backbone("MobileNetV2", weights="random"))
