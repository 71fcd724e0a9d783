"""Rows to files of even size, with bounded memory and no shuffle of the rows.

Each bundle writes its rows to parts in the run's own scratch folder. When all parts are known, their rows are counted,
and the shards are planned: even, none empty, their number in their names. Then each shard copies its rows from the
parts. A retried bundle leaves an orphaned part, which nobody names and the clean-up removes.
"""

import abc
import dataclasses
import math
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.transforms.combiners import ToListCombineFn
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from transforms.core.counters import count, timed
from transforms.storage.files import download, upload

SCRATCH = ".run-"
FAILURES_PREFIX = "failures"
EMBEDDINGS_PREFIX = "embeddings"

PART_BYTES = 8 << 20
"""Of the vectors that a bundle holds until it writes them."""


def scratch_folder(output: str, run_id: str) -> str:
    """Return the folder that one run alone writes its parts to."""
    return str(FileSystems.join(output, f"{SCRATCH}{run_id}"))


def rows_of_a_part(dim: int) -> int:
    """Return how many vectors of a width a bundle holds until it writes them."""
    return int(min(max(PART_BYTES // (4 * dim), 1), 4096))


class ShardFormat(abc.ABC):
    """A file format as the sinks see it; a chunk is a list of rows that has a length and can be sliced.

    Files are on the local disk: moving them is not the format's business.
    """

    extension: str
    prefix: str
    rows_per_part: int = 4096

    @abc.abstractmethod
    def encode(self, elements: list[Any]) -> Any:
        """Turn elements to one chunk."""

    @abc.abstractmethod
    def write(self, path: str, chunks: Iterable[Any]) -> None:
        """Write chunks to a new local file."""

    @abc.abstractmethod
    def read(self, path: str) -> Iterator[Any]:
        """Read the chunks of a local file, one at a time."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A piece that one bundle wrote."""

    path: str
    rows: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file to be: its name, and the rows [start, stop) of each part that go into it."""

    name: str
    slices: tuple[tuple[str, int, int], ...]


@dataclasses.dataclass(frozen=True)
class WrittenFile:
    """A file of the output folder; `rows` a count, `bytes` its size."""

    name: str
    rows: int
    bytes: int


def plan_shards(
    parts: Iterable[Part], prefix: str, extension: str, num_shards: int | None, shard_bytes: int
) -> list[Shard]:
    """Divide the rows of all parts evenly: sizes differ by one row at most, and no shard is empty."""
    ordered = sorted((p for p in parts if p.rows), key=lambda p: p.path)
    total = sum(p.rows for p in ordered)
    if not total:
        return []
    wanted = num_shards or math.ceil(sum(p.bytes for p in ordered) / shard_bytes)
    n = max(1, min(wanted, total))
    bounds = [total * i // n for i in range(n + 1)]
    starts = [0]
    for part in ordered:
        starts.append(starts[-1] + part.rows)
    shards = []
    for i in range(n):
        slices = tuple(
            (part.path, max(bounds[i] - start, 0), min(bounds[i + 1] - start, part.rows))
            for part, start in zip(ordered, starts, strict=False)
            if start < bounds[i + 1] and start + part.rows > bounds[i]
        )
        shards.append(Shard(f"{prefix}-{i:05d}-of-{n:05d}{extension}", slices))
    return shards


@dataclasses.dataclass
class WriteParts(beam.DoFn):
    """Write a bundle's elements to part files: element -> Part."""

    format: ShardFormat
    scratch: str

    def __post_init__(self) -> None:
        super().__init__()

    def start_bundle(self) -> None:
        self._elements: list[Any] = []

    def process(self, element: Any) -> Iterator[Part]:
        self._elements.append(element)
        if len(self._elements) >= self.format.rows_per_part:
            yield self._flush()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._elements:
            yield WindowedValue(self._flush(), GlobalWindow().max_timestamp(), (GlobalWindow(),))

    def _flush(self) -> Part:
        with timed("write-busy-us"):
            return self._write()

    def _write(self) -> Part:
        chunk = self.format.encode(self._elements)
        self._elements = []
        path = FileSystems.join(self.scratch, f"{uuid.uuid4().hex}{self.format.extension}")
        with tempfile.TemporaryDirectory() as folder:
            local = os.path.join(folder, "part")
            self.format.write(local, [chunk])
            size = upload(local, path)
        return Part(path, len(chunk), size)


@dataclasses.dataclass
class WriteShard(beam.DoFn):
    """Copy a planned shard's rows from the parts: Shard -> WrittenFile."""

    format: ShardFormat
    output: str
    scratch: str

    def __post_init__(self) -> None:
        super().__init__()

    def process(self, shard: Shard) -> Iterator[WrittenFile]:
        with timed("write-busy-us"):
            size = self._copy(shard)
        count("files-written")
        yield WrittenFile(shard.name, sum(stop - start for _, start, stop in shard.slices), size)

    def _copy(self, shard: Shard) -> int:
        with tempfile.TemporaryDirectory() as folder:
            local = os.path.join(folder, shard.name)
            self.format.write(local, self._rows(shard, os.path.join(folder, "part")))
            partial = FileSystems.join(self.scratch, f"{uuid.uuid4().hex}{self.format.extension}")
            size = upload(local, partial)
        final = FileSystems.join(self.output, shard.name)
        FileSystems.rename([partial], [final])
        return size

    def _rows(self, shard: Shard, local: str) -> Iterator[Any]:
        for path, start, stop in shard.slices:
            download(path, local)
            row = 0
            for chunk in self.format.read(local):
                first, last = max(start - row, 0), min(stop - row, len(chunk))
                if first < last:
                    yield chunk[first:last]
                row += len(chunk)
            os.remove(local)


@dataclasses.dataclass
class WriteShards(beam.PTransform):
    """Write elements to even files: element -> WrittenFile.

    Args:
      format: how elements are encoded, and how a file is laid out.
      output: a folder on any Beam filesystem.
      run_id: in the files' names.
      num_shards: files to write, a count; None lets `shard_bytes` decide.
      shard_bytes: size to aim at, in bytes, as the parts measured it.
    """

    format: ShardFormat
    output: str
    run_id: str
    num_shards: int | None
    shard_bytes: int

    def expand(self, elements: Any) -> Any:
        scratch = scratch_folder(self.output, self.run_id)
        prefix = f"{self.format.prefix}-{self.run_id}"
        return (
            elements
            | "WriteParts" >> beam.ParDo(WriteParts(self.format, scratch))
            | "AllParts" >> beam.CombineGlobally(ToListCombineFn()).without_defaults()
            | "PlanShards"
            >> beam.FlatMap(plan_shards, prefix, self.format.extension, self.num_shards, self.shard_bytes)
            | "SpreadShards" >> beam.Reshuffle()
            | "WriteShard" >> beam.ParDo(WriteShard(self.format, self.output, scratch))
        )
