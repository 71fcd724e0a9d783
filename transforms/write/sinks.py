"""The sinks of embeddings, one for each output format of `transforms.collection.layout.EMBEDDINGS`."""

from transforms.write.embeddings import WriteEmbeddings
from transforms.write.parquet import WriteEmbeddingsToParquet
from transforms.write.tfrecord import WriteEmbeddingsToTFRecord

SINKS: dict[str, type[WriteEmbeddings]] = {
    "parquet": WriteEmbeddingsToParquet,
    "tfrecord": WriteEmbeddingsToTFRecord,
}
