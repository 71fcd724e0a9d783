"""Write failures as JSON lines, which the next run accepts as input."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam

from transforms.collection.columns import FAILURE_COLUMNS, OF_SOURCE
from transforms.collection.layout import FAILURES, FileKind
from transforms.collection.values import text_of_bytes
from transforms.core.failures import Failure
from transforms.core.stage import Stage
from transforms.write.embeddings import SHARD_BYTES
from transforms.write.shard_format import ShardFormat
from transforms.write.shards import WriteShards

CHUNK_BYTES = 1 << 20
"""Size of a chunk that is read, in bytes: what is done for each chunk takes longer than a line."""


@dataclasses.dataclass(frozen=True)
class FailuresFormat(ShardFormat):
    """JSON lines: the failure's own columns, then the carried ones; a chunk is a list of lines."""

    kind: FileKind = FAILURES

    def encode(self, elements: list[Failure]) -> list[bytes]:
        return [failure_to_json(f).encode() + b"\n" for f in elements]

    def uris(self, chunk: list[bytes]) -> list[str]:
        return [json.loads(line)["uri"] for line in chunk]

    def write(self, path: str, chunks: Iterable[list[bytes]]) -> None:
        with open(path, "wb") as f:
            for lines in chunks:
                f.writelines(lines)

    def read(self, path: str) -> Iterator[list[bytes]]:
        with open(path, "rb") as f:
            while lines := f.readlines(CHUNK_BYTES):
                yield lines


def failure_to_json(failure: Failure) -> str:
    """Return one line of JSON; values for which JSON has no type are text there, bytes that are none in base64."""
    own = {name: getattr(failure.source if name in OF_SOURCE else failure, name) for name in FAILURE_COLUMNS}
    return json.dumps(
        {**own, **failure.source.columns},
        ensure_ascii=False,
        default=lambda value: text_of_bytes(value) if isinstance(value, bytes) else str(value),
    )


@dataclasses.dataclass
class WriteFailures(Stage):
    """Write failures to `failures/failures-RUN-SSSSS-of-NNNNN.jsonl`: Failure -> WrittenFile.

    Args:
      output: a folder on any Beam filesystem.
      run_id: id of the run, part of each file name, so that no run overwrites another's files.
      shard_bytes: target size of a file, in bytes.
      standing: a PCollection of the StandingFiles of failures that earlier runs wrote; None if there are none.
      more: further PCollections of failures, see `WriteShards`.
    """

    takes = Failure

    output: str
    run_id: str
    shard_bytes: int = SHARD_BYTES
    standing: Any = None
    more: Sequence[Any] = ()

    def expand(self, failures: beam.PCollection[Failure]) -> Any:
        return failures | WriteShards(
            FailuresFormat(), self.output, self.run_id, None, self.shard_bytes, self.standing, more=self.more
        )
