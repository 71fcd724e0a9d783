"""Write embeddings to Parquet: zstd, even shards, the embedding spec in each file's metadata."""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.collection.columns import embeddings_schema, value_of
from transforms.collection.layout import EMBEDDINGS, FileKind
from transforms.core.elements import Embedding
from transforms.write.embeddings import WriteEmbeddings
from transforms.write.shard_format import ShardFormat, rows_per_part

ROW_GROUP_BYTES = 16 << 20
"""Target size of a row group in memory, in bytes."""

UNIQUE = ("uri", "sha256", "version", "embedding")
"""Columns whose values seldom repeat, so that a dictionary would be wasted on them."""


def to_table(embeddings: list[Embedding], schema: pa.Schema) -> pa.Table:
    """Turn embeddings into a table; the vectors go to Arrow as one array, never as Python lists."""

    def column(field: pa.Field) -> pa.Array:
        if field.name == "embedding":
            return _vectors(embeddings, field.type)
        return pa.array([value_of(e, field.name) for e in embeddings], field.type)

    return pa.Table.from_arrays([column(field) for field in schema], schema=schema)


def _vectors(embeddings: list[Embedding], type_: pa.ListType) -> pa.ListArray:
    matrix = np.stack([e.embedding for e in embeddings])
    offsets = np.arange(len(matrix) + 1, dtype=np.int32) * matrix.shape[1]
    values = pa.array(matrix.ravel()).cast(type_.value_type)
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=type_)


@dataclasses.dataclass(frozen=True)
class ParquetFormat(ShardFormat):
    """Parquet files of one schema; a chunk is a table."""

    schema: pa.Schema
    rows_per_part: int
    kind: FileKind = EMBEDDINGS["parquet"]

    def encode(self, elements: list[Embedding]) -> pa.Table:
        return to_table(elements, self.schema)

    def uris(self, chunk: pa.Table) -> list[str]:
        uris: list[str] = chunk.column("uri").to_pylist()
        return uris

    def write(self, path: str, chunks: Iterable[pa.Table]) -> None:
        repeating = [field.name for field in self.schema if field.name not in UNIQUE]
        with pq.ParquetWriter(path, self.schema, compression="zstd", use_dictionary=repeating) as writer:
            for table in _merged(chunks):
                writer.write_table(table, row_group_size=max(len(table), 1))

    def read(self, path: str) -> Iterator[pa.Table]:
        for batch in pq.ParquetFile(path).iter_batches(self.rows_per_part):
            yield pa.Table.from_batches([batch]).cast(self.schema)


def _merged(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Collect small tables until they make a row group."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(t.nbytes for t in waiting) >= ROW_GROUP_BYTES:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


@dataclasses.dataclass
class WriteEmbeddingsToParquet(WriteEmbeddings):
    """Write embeddings to `parquet/embeddings-RUN-SSSSS-of-NNNNN.parquet`: Embedding -> WrittenFile.

    Args: as for `WriteEmbeddings`.
    """

    def format(self) -> ParquetFormat:
        schema = embeddings_schema(self.spec, self.columns, self.top_k)
        return ParquetFormat(schema, rows_per_part(self.spec.dim))
