"""Write elements to files of even size, with bounded memory.

Each bundle writes its elements to parts in the run's scratch folder. When all parts are known, their rows are divided
into shards, and each shard copies its rows from the parts. A retried bundle leaves an orphaned part, which nothing
refers to and the clean-up removes.
"""

import dataclasses
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.combiners import ToListCombineFn
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from transforms.collection.layout import path_of, scratch_folder
from transforms.core.counters import count, timed
from transforms.storage.files import download, move, upload
from transforms.write.shard_format import ShardFormat
from transforms.write.shard_plan import Part, Shard, WrittenFile, plan_shards


@dataclasses.dataclass
class WriteParts(beam.DoFn):
    """Write the elements of a bundle to part files: element -> Part."""

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
        path = path_of(self.scratch, self.format.kind.part_name())
        with tempfile.TemporaryDirectory() as folder:
            local = os.path.join(folder, "part")
            self.format.write(local, [chunk])
            num_bytes = upload(local, path)
        return Part(path, len(chunk), num_bytes)


@dataclasses.dataclass
class WriteShard(beam.DoFn):
    """Copy the rows of a planned shard from the parts: Shard -> WrittenFile."""

    format: ShardFormat
    output: str
    scratch: str

    def __post_init__(self) -> None:
        super().__init__()

    def process(self, shard: Shard) -> Iterator[WrittenFile]:
        with timed("write-busy-us"):
            num_bytes = self._copy(shard)
        count("files-written")
        yield WrittenFile(shard.name, sum(stop - start for _, start, stop in shard.slices), num_bytes)

    def _copy(self, shard: Shard) -> int:
        with tempfile.TemporaryDirectory() as folder:
            local = os.path.join(folder, "shard")
            self.format.write(local, self._rows(shard, os.path.join(folder, "part")))
            partial = path_of(self.scratch, self.format.kind.part_name())
            num_bytes = upload(local, partial)
        final = path_of(self.output, shard.name)
        move(partial, final)
        return num_bytes

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
    """Write elements to files of even size: element -> WrittenFile.

    Args:
      format: how elements are encoded, and how a file is laid out.
      output: a folder on any Beam filesystem.
      run_id: id of the run, part of the file names.
      num_shards: number of files; None lets `shard_bytes` decide.
      shard_bytes: target size in bytes, judged by the sizes of the parts.
    """

    format: ShardFormat
    output: str
    run_id: str
    num_shards: int | None
    shard_bytes: int

    def expand(self, elements: Any) -> Any:
        scratch = scratch_folder(self.output, self.run_id)
        return (
            elements
            | "WriteParts" >> beam.ParDo(WriteParts(self.format, scratch))
            | "AllParts" >> beam.CombineGlobally(ToListCombineFn()).without_defaults()
            | "PlanShards"
            >> beam.FlatMap(plan_shards, self.format.kind, self.run_id, self.num_shards, self.shard_bytes)
            | "SpreadShards" >> beam.Reshuffle()
            | "WriteShard" >> beam.ParDo(WriteShard(self.format, self.output, scratch))
        )
