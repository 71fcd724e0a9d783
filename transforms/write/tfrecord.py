"""Write embeddings to TFRecord: gzipped `tf.train.Example`, with a `features.json` that says how to parse them.

    features = {
        name: getattr(tf.io, f["kind"])(f["shape"], f["dtype"], **f["arguments"])
        for name, f in json.load(open("features.json")).items()
    }
    dataset = tf.data.TFRecordDataset(files, "GZIP").map(lambda x: tf.io.parse_single_example(x, features))

A carried column is a sequence: empty for null, of one value, or of a list's values without its nulls. Values that an
Example has no type for are text: times in ISO 8601, structs and inner lists as JSON.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa

from transforms.core.elements import Embedding
from transforms.core.spec import EmbeddingSpec
from transforms.write.shards import EMBEDDINGS_PREFIX, ShardFormat, WriteShards, rows_of_a_part

_KINDS = {"int64": "int64_list", "float32": "float_list", "string": "bytes_list"}


def _is_list(type_: pa.DataType) -> bool:
    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_))


def _dtype(type_: pa.DataType) -> str:
    if _is_list(type_):
        return "string" if _is_list(type_.value_type) else _dtype(type_.value_type)
    if pa.types.is_boolean(type_) or (pa.types.is_integer(type_) and type_ != pa.uint64()):
        return "int64"
    return "float32" if pa.types.is_floating(type_) else "string"


def example_features(spec: EmbeddingSpec, columns: pa.Schema | None = None, top_k: int = 0) -> dict[str, Any]:
    """Return what `features.json` holds: the arguments of each field's `tf.io` feature."""

    def fixed(dtype: str, *shape: int) -> dict[str, Any]:
        return {"kind": "FixedLenFeature", "shape": list(shape), "dtype": dtype, "arguments": {}}

    def sequence(dtype: str) -> dict[str, Any]:
        return {"kind": "FixedLenSequenceFeature", "shape": [], "dtype": dtype, "arguments": {"allow_missing": True}}

    features = {
        "uri": fixed("string"),
        "embedding": fixed("float32", spec.dim),
        "width": fixed("int64"),
        "height": fixed("int64"),
        "format": fixed("string"),
        "sha256": fixed("string"),
    }
    if top_k:
        top = {"top_class_ids": "string", "top_class_names": "string", "top_scores": "float32"}
        features.update({name: sequence(dtype) for name, dtype in top.items()})
    return features | {field.name: sequence(_dtype(field.type)) for field in columns or ()}


def to_example(embedding: Embedding, features: dict[str, Any]) -> bytes:
    """Serialize an embedding as `tf.train.Example`."""
    import tensorflow as tf

    facts = dataclasses.asdict(embedding.facts)
    own = {"uri": embedding.source.uri, "embedding": embedding.embedding, **facts}
    top = dict(zip(("top_class_ids", "top_class_names", "top_scores"), zip(*embedding.top, strict=True), strict=False))
    example = tf.train.Example()
    for name, feature in features.items():
        kind = _KINDS[feature["dtype"]]
        values: Any = own[name] if name in own else top.get(name, embedding.source.columns.get(name))
        if name != "embedding":
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
    dim: int
    extension: str = ".tfrecord.gz"
    prefix: str = EMBEDDINGS_PREFIX

    @property
    def rows_per_part(self) -> int:  # type: ignore[override]
        return rows_of_a_part(self.dim)

    def encode(self, elements: list[Embedding]) -> list[bytes]:
        return [to_example(element, self.features) for element in elements]

    def write(self, path: str, chunks: Iterable[list[bytes]]) -> None:
        import tensorflow as tf

        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            for chunk in chunks:
                for record in chunk:
                    writer.write(record)

    def read(self, path: str) -> Iterator[list[bytes]]:
        import tensorflow as tf

        for record in tf.data.TFRecordDataset(path, "GZIP").as_numpy_iterator():
            yield [record]


@dataclasses.dataclass
class WriteEmbeddingsToTFRecord(beam.PTransform):
    """Write embeddings to `embeddings-RUN-SSSSS-of-NNNNN.tfrecord.gz`: Embedding -> WrittenFile.

    Args: as `WriteEmbeddingsToParquet`'s.
    """

    output: str
    run_id: str
    spec: EmbeddingSpec
    columns: pa.Schema | None = None
    top_k: int = 0
    num_shards: int | None = None
    shard_bytes: int = 256 << 20

    def expand(self, embeddings: Any) -> Any:
        features = example_features(self.spec, self.columns, self.top_k)
        format_ = TFRecordFormat(features, self.spec.dim)
        return embeddings | WriteShards(format_, self.output, self.run_id, self.num_shards, self.shard_bytes)
