"""Write embeddings to TFRecord: gzipped `tf.train.Example`; the manifest, and `features.json`, say how to parse them.

    manifest = json.load(open("manifest.json"))
    features = {
        name: getattr(tf.io, f["kind"])(f["shape"], f["dtype"], **f["arguments"])
        for name, f in manifest["features"].items()
    }
    files = [f["name"] for f in manifest["files"] if f["name"].startswith("tfrecord/")]
    dataset = tf.data.TFRecordDataset(files, "GZIP").map(lambda x: tf.io.parse_single_example(x, features))

A carried column is a sequence: empty for null, of one value, or of a list's values without its nulls. Values for which
an Example has no type become text: times in ISO 8601, structs and inner lists as JSON.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from transforms.collection.columns import example_features, value_of
from transforms.collection.layout import EMBEDDINGS, FileKind
from transforms.core.elements import Embedding
from transforms.write.embeddings import WriteEmbeddings
from transforms.write.shard_format import ShardFormat, rows_per_part

_KINDS = {"int64": "int64_list", "float32": "float_list", "string": "bytes_list"}


def to_example(embedding: Embedding, features: dict[str, Any]) -> bytes:
    """Serialize an embedding as a `tf.train.Example` of the columns of `features`."""
    from transforms.core.tensorflow_setup import tf

    example = tf.train.Example()
    for name, feature in features.items():
        kind, values = _KINDS[feature["dtype"]], value_of(embedding, name)
        if not isinstance(values, np.ndarray):
            values = [v for v in (values if isinstance(values, list | tuple) else [values]) if v is not None]
        if kind == "bytes_list":
            values = [_text(v) for v in values]
        getattr(example.features.feature[name], kind).value.extend(values)
    serialized: bytes = example.SerializeToString()
    return serialized


def _text(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if hasattr(value, "isoformat"):
        return str(value.isoformat()).encode()
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=str, ensure_ascii=False).encode()
    return str(value).encode()


@dataclasses.dataclass(frozen=True)
class TFRecordFormat(ShardFormat):
    """Gzipped records; a chunk is a list of serialized examples."""

    features: dict[str, Any]
    rows_per_part: int
    kind: FileKind = EMBEDDINGS["tfrecord"]

    def encode(self, elements: list[Embedding]) -> list[bytes]:
        return [to_example(element, self.features) for element in elements]

    def uris(self, chunk: list[bytes]) -> list[str]:
        from transforms.core.tensorflow_setup import tf

        examples = map(tf.train.Example.FromString, chunk)
        return [example.features.feature["uri"].bytes_list.value[0].decode() for example in examples]

    def write(self, path: str, chunks: Iterable[list[bytes]]) -> None:
        from transforms.core.tensorflow_setup import tf

        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            for chunk in chunks:
                for record in chunk:
                    writer.write(record)

    def read(self, path: str) -> Iterator[list[bytes]]:
        from transforms.core.tensorflow_setup import tf

        for record in tf.data.TFRecordDataset(path, "GZIP").as_numpy_iterator():
            yield [record]


@dataclasses.dataclass
class WriteEmbeddingsToTFRecord(WriteEmbeddings):
    """Write embeddings to `tfrecord/embeddings-RUN-SSSSS-of-NNNNN.tfrecord.gz`: Embedding -> WrittenFile.

    Args: as for `WriteEmbeddings`.
    """

    def format(self) -> TFRecordFormat:
        return TFRecordFormat(example_features(self.spec, self.columns, self.top_k), rows_per_part(self.spec.dim))
