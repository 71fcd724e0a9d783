"""Base of all sinks of embeddings: their arguments are the same, only the format differs."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa

from transforms.core.elements import Embedding
from transforms.core.spec import EmbeddingSpec
from transforms.core.stage import Stage
from transforms.write.shard_format import ShardFormat
from transforms.write.shards import WriteShards

SHARD_BYTES = 256 << 20
"""Target size of a file, in bytes."""


@dataclasses.dataclass
class WriteEmbeddings(Stage, abc.ABC):
    """Write embeddings to files of one format: Embedding -> WrittenFile.

    Args:
      output: a folder on any Beam filesystem.
      run_id: id of the run, part of each file name, so that no run overwrites another's files.
      spec: how the embeddings are made.
      columns: the carried columns and their types, as in `ReadImageUris.columns`.
      top_k: number of classes of each embedding, or 0.
      num_shards: number of files; None lets `shard_bytes` decide.
      shard_bytes: target size of a file, in bytes.
      standing: a PCollection of the StandingFiles of the format that earlier runs wrote; None if there are none.
      rewrites: whether all of these are written again, since they have other columns.
      more: further PCollections of embeddings, see `WriteShards`.
      vector_type: Arrow's type of the vectors in Parquet: 'list' or 'fixed_size_list'.
    """

    takes = Embedding

    output: str
    run_id: str
    spec: EmbeddingSpec
    columns: pa.Schema | None = None
    top_k: int = 0
    num_shards: int | None = None
    shard_bytes: int = SHARD_BYTES
    standing: Any = None
    rewrites: bool = False
    more: Sequence[Any] = ()
    vector_type: str = "list"

    @abc.abstractmethod
    def format(self) -> ShardFormat:
        """Return the format of the files."""

    def expand(self, embeddings: beam.PCollection[Embedding]) -> Any:
        return embeddings | WriteShards(
            self.format(),
            self.output,
            self.run_id,
            self.num_shards,
            self.shard_bytes,
            self.standing,
            self.rewrites,
            self.more,
        )
