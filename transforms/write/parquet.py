"""Write embeddings to Parquet: zstd, even shards, how they were made in each file's metadata."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.core.elements import Embedding
from transforms.core.spec import EmbeddingSpec
from transforms.write.shards import EMBEDDINGS_PREFIX, ShardFormat, WriteShards, rows_of_a_part

ROW_GROUP_BYTES = 16 << 20


def embeddings_schema(spec: EmbeddingSpec, columns: pa.Schema | None = None, top_k: int = 0) -> pa.Schema:
    """Return the schema of an output file: our own columns, then the carried ones, and the spec as metadata."""
    element = pa.field("element", pa.from_numpy_dtype(np.dtype(spec.embedding_dtype)), nullable=False)
    top = [
        pa.field("top_class_ids", pa.list_(pa.string())),
        pa.field("top_class_names", pa.list_(pa.string())),
        pa.field("top_scores", pa.list_(pa.float32())),
    ]
    return pa.schema(
        [
            pa.field("uri", pa.string(), nullable=False),
            pa.field("embedding", pa.list_(element), nullable=False),
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("format", pa.string()),
            pa.field("sha256", pa.string()),
            *(top if top_k else ()),
            *(columns or ()),
        ],
        metadata={"embedding_spec": spec.to_json(), "embedding_spec_fingerprint": spec.fingerprint},
    )


def to_table(embeddings: list[Embedding], schema: pa.Schema) -> pa.Table:
    """Turn embeddings to a table; the vectors go to Arrow as one array, never as Python lists."""
    vectors = schema.field("embedding").type
    matrix = np.stack([e.embedding for e in embeddings])
    values = pa.array(matrix.ravel()).cast(vectors.value_type)
    offsets = np.arange(len(matrix) + 1, dtype=np.int32) * matrix.shape[1]
    own: dict[str, Any] = {
        "uri": [e.source.uri for e in embeddings],
        "embedding": pa.ListArray.from_arrays(pa.array(offsets), values, type=vectors),
        "width": [e.facts.width for e in embeddings],
        "height": [e.facts.height for e in embeddings],
        "format": [e.facts.format for e in embeddings],
        "sha256": [e.facts.sha256 for e in embeddings],
        "top_class_ids": [[id_ for id_, _, _ in e.top] for e in embeddings],
        "top_class_names": [[name for _, name, _ in e.top] for e in embeddings],
        "top_scores": [[score for _, _, score in e.top] for e in embeddings],
    }

    def column(field: pa.Field) -> pa.Array:
        values = own.get(field.name)
        if values is None:
            values = [e.source.columns.get(field.name) for e in embeddings]
        return values if isinstance(values, pa.Array) else pa.array(values, field.type)

    return pa.Table.from_arrays([column(field) for field in schema], schema=schema)


@dataclasses.dataclass(frozen=True)
class ParquetFormat(ShardFormat):
    """Parquet files of one schema; a chunk is a table."""

    schema: pa.Schema
    dim: int
    extension: str = ".parquet"
    prefix: str = EMBEDDINGS_PREFIX

    @property
    def rows_per_part(self) -> int:  # type: ignore[override]
        return rows_of_a_part(self.dim)

    def encode(self, elements: list[Embedding]) -> pa.Table:
        return to_table(elements, self.schema)

    def write(self, path: str, chunks: Iterable[pa.Table]) -> None:
        strings = [field.name for field in self.schema if field.name not in ("uri", "sha256", "embedding")]
        with pq.ParquetWriter(path, self.schema, compression="zstd", use_dictionary=strings) as writer:
            for table in _merged(chunks):
                writer.write_table(table, row_group_size=max(len(table), 1))

    def read(self, path: str) -> Iterator[pa.Table]:
        for batch in pq.ParquetFile(path).iter_batches(self.rows_per_part):
            yield pa.Table.from_batches([batch]).cast(self.schema)


def _merged(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Collect small tables, so that row groups are of a size that readers like."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(t.nbytes for t in waiting) >= ROW_GROUP_BYTES:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


@dataclasses.dataclass
class WriteEmbeddingsToParquet(beam.PTransform):
    """Write embeddings to `embeddings-RUN-SSSSS-of-NNNNN.parquet`: Embedding -> WrittenFile.

    Args:
      output: a folder on any Beam filesystem.
      run_id: in each file's name.
      spec: how the embeddings are made.
      columns: the carried columns and their types, as `ReadImageUris.columns` has them.
      top_k: whether there are classes, a count.
      num_shards: files, a count; None lets `shard_bytes` decide.
      shard_bytes: size to aim at, in bytes.
    """

    output: str
    run_id: str
    spec: EmbeddingSpec
    columns: pa.Schema | None = None
    top_k: int = 0
    num_shards: int | None = None
    shard_bytes: int = 256 << 20

    def expand(self, embeddings: Any) -> Any:
        schema = embeddings_schema(self.spec, self.columns, self.top_k)
        format_ = ParquetFormat(schema, self.spec.dim)
        return embeddings | WriteShards(format_, self.output, self.run_id, self.num_shards, self.shard_bytes)
