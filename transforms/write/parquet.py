"""Write embeddings to Parquet: zstd, even shards, the embedding spec in each file's metadata."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.collection.columns import OWN_NAMES, embeddings_schema, value_of
from transforms.collection.layout import EMBEDDINGS, FileKind
from transforms.collection.values import fitted, to_python
from transforms.core.elements import Embedding, ImageFacts, ImageUri
from transforms.storage.files import opened, read_locally
from transforms.write.embeddings import WriteEmbeddings
from transforms.write.shard_format import EmbeddingsFormat, RowKeys, rows_per_part

KEY_ROWS = 1 << 16
"""Rows whose keys are read at a time."""

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


def _vectors(embeddings: list[Embedding], type_: pa.ListType | pa.FixedSizeListType) -> pa.Array:
    matrix = np.stack([e.embedding for e in embeddings])
    values = pa.array(matrix.ravel()).cast(type_.value_type)
    if pa.types.is_fixed_size_list(type_):
        return pa.FixedSizeListArray.from_arrays(values, type=type_)
    offsets = np.arange(len(matrix) + 1, dtype=np.int32) * matrix.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=type_)


@dataclasses.dataclass(frozen=True)
class ParquetFormat(EmbeddingsFormat):
    """Parquet files of one schema; a chunk is a table."""

    schema: pa.Schema
    rows_per_part: int
    kind: FileKind = EMBEDDINGS["parquet"]

    @functools.cached_property
    def carried(self) -> tuple[str, ...]:
        """Names of the carried columns; looking through a schema takes microseconds, and each uri needs them."""
        return tuple(name for name in self.schema.names if name not in OWN_NAMES)

    def encode(self, elements: list[Embedding]) -> pa.Table:
        return to_table(elements, self.schema)

    def uris(self, chunk: pa.Table) -> list[str]:
        uris: list[str] = chunk.column("uri").to_pylist()
        return uris

    def select(self, chunk: pa.Table, keep: np.ndarray) -> pa.Table:
        return chunk.filter(pa.array(keep))

    def uris_in(self, path: str) -> Iterator[list[str]]:
        with opened(path) as f:
            for batch in pq.ParquetFile(f).iter_batches(KEY_ROWS, columns=["uri"]):
                yield batch.column(0).to_pylist()

    def keys(self, path: str) -> Iterator[RowKeys]:
        carried = [self.schema.field(name) for name in self.carried]
        names = ["uri", "version", "sha256", *self.carried]
        with opened(path) as f:
            file = pq.ParquetFile(f)
            there = [name for name in names if name in file.schema_arrow.names]
            for batch in file.iter_batches(KEY_ROWS, columns=there):
                table = pa.Table.from_batches([batch])
                values = [to_python(fitted(table, field)) for field in carried]
                rows = zip(*values, strict=True) if values else [()] * len(table)
                uris, versions, sha256 = (table.column(name).to_pylist() for name in names[:3])
                yield RowKeys(uris, versions, sha256, list(rows))

    def facts(self, path: str) -> Iterator[list[ImageFacts]]:
        names = [field.name for field in dataclasses.fields(ImageFacts)]
        with opened(path) as f:
            for batch in pq.ParquetFile(f).iter_batches(KEY_ROWS, columns=names):
                yield list(map(ImageFacts, *(batch.column(name).to_pylist() for name in names)))

    def comparable(self, columns: Mapping[str, Any]) -> Any:
        return tuple(map(columns.get, self.carried))

    def embeddings(self, path: str, wanted: Mapping[str, ImageUri]) -> Iterator[Embedding]:
        with read_locally(path) as local:
            for chunk in self.read(local):
                yield from self._embeddings(chunk, wanted)

    def _embeddings(self, chunk: pa.Table, wanted: Mapping[str, ImageUri]) -> Iterator[Embedding]:
        uris = self.uris(chunk)
        found = self.select(chunk, np.array([uri in wanted for uri in uris], bool))
        own = {name: found.column(name).to_pylist() for name in found.column_names if name in OWN_NAMES}
        vectors = np.array(own.pop("embedding"), self.schema.field("embedding").type.value_type.to_pandas_dtype())
        for i, uri in enumerate(own["uri"]):
            facts = ImageFacts(*(own[field.name][i] for field in dataclasses.fields(ImageFacts)))
            top = [own[name][i] for name in ("top_class_ids", "top_class_names", "top_scores") if name in own]
            yield Embedding(wanted[uri], facts, vectors[i], tuple(zip(*top, strict=True)))

    def vectors(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[tuple[list[str], np.ndarray]]:
        with opened(path) as f:
            file = pq.ParquetFile(f)
            groups, first = _groups_within(file.metadata, start, stop)
            for batch in file.iter_batches(self.rows_per_part, groups, ["uri", "embedding"]):
                low, high = max(start - first, 0), len(batch) if stop is None else min(stop - first, len(batch))
                first += len(batch)
                if low < high:
                    rows = batch.slice(low, high - low)
                    values = rows.column("embedding").flatten().to_numpy(zero_copy_only=False)
                    yield rows.column("uri").to_pylist(), values.reshape(len(rows), -1)

    def write(self, path: str, chunks: Iterable[pa.Table]) -> None:
        repeating = [field.name for field in self.schema if field.name not in UNIQUE]
        with pq.ParquetWriter(path, self.schema, compression="zstd", use_dictionary=repeating) as writer:
            for table in _merged(chunks):
                writer.write_table(table, row_group_size=max(len(table), 1))

    def read(self, path: str) -> Iterator[pa.Table]:
        for batch in pq.ParquetFile(path).iter_batches(self.rows_per_part):
            table = pa.Table.from_batches([batch])
            yield pa.Table.from_arrays([fitted(table, field) for field in self.schema], schema=self.schema)


def _groups_within(metadata: Any, start: int, stop: int | None) -> tuple[list[int], int]:
    """Return the row groups that hold some rows, and the number of the first row in them."""
    ends = np.cumsum([0, *(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))])
    last = ends[-1] if stop is None else stop
    groups = [i for i in range(metadata.num_row_groups) if ends[i + 1] > start and ends[i] < last]
    return groups, int(ends[groups[0]]) if groups else 0


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
        schema = embeddings_schema(self.spec, self.columns, self.top_k, self.vector_type)
        return ParquetFormat(schema, rows_per_part(self.spec.dim))
