"""Write elements to files of even size, with bounded memory.

Each bundle writes its elements to parts in the run's scratch folder. When all parts are known, their rows are divided
into shards, and each shard copies its rows from the parts. A retried bundle leaves an orphaned part, which nothing
refers to and the clean-up removes. The plan of the shards is put once: where a runner repeats a step, the later plan,
which may see other parts, gives way to the first.
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.combiners import ToListCombineFn
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from transforms.collection.layout import LOCK, path_of, plan_path, scratch_folder
from transforms.core.counters import count, timed
from transforms.core.errors import UsageError
from transforms.core.uri_sum import UriSum
from transforms.storage.files import move, read_locally, read_whole, written_locally
from transforms.storage.gcs import LostRaceError
from transforms.storage.versions import exclusive, put_if_unchanged
from transforms.write.shard_format import ShardFormat
from transforms.write.shard_plan import Part, Shard, WrittenFile, from_json, plan_shards, to_json


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
        with written_locally(path) as local:
            self.format.write(local, [chunk])
            num_bytes = os.path.getsize(local)
        return Part(path, len(chunk), num_bytes)


@dataclasses.dataclass(frozen=True)
class PlanShards:
    """Divide all parts into shards, or read how that was done before: [Part] -> Shards.

    Args: as for `WriteShards`.
    """

    format: ShardFormat
    output: str
    run_id: str
    num_shards: int | None
    shard_bytes: int

    def __call__(self, parts: Iterable[Part]) -> list[Shard]:
        """Return the plan that stands."""
        kind = self.format.kind
        planned = plan_shards(parts, kind, self.run_id, self.num_shards, self.shard_bytes)
        path = plan_path(self.output, self.run_id, kind)
        partial = path_of(scratch_folder(self.output, self.run_id), kind.part_name())
        try:
            with exclusive(path_of(self.output, LOCK)):
                put_if_unchanged(to_json(planned), path, "", partial)
        except LostRaceError:
            return from_json(read_whole(path))
        return planned


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
            written = self._copy(shard)
        count("files-written")
        yield written

    def _copy(self, shard: Shard) -> WrittenFile:
        partial = path_of(self.scratch, self.format.kind.part_name())
        uris: list[UriSum] = []
        with written_locally(partial) as local:
            self.format.write(local, self._rows(shard, uris))
            num_bytes = os.path.getsize(local)
        move(partial, path_of(self.output, shard.name))
        return WrittenFile(shard.name, UriSum.total(uris), num_bytes)

    def _rows(self, shard: Shard, uris: list[UriSum]) -> Iterator[Any]:
        """Yield the chunks of a shard, and note the uris of each."""
        for path, start, stop in shard.slices:
            row = 0
            with read_locally(path) as local:
                for chunk in self.format.read(local):
                    first, last = max(start - row, 0), min(stop - row, len(chunk))
                    if first < last:
                        uris.append(UriSum.of(self.format.uris(chunk[first:last])))
                        yield chunk[first:last]
                    row += len(chunk)


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
        if not elements.windowing.is_default():
            raise UsageError(
                f"the files of {self.format.kind.folder}/ are written once all elements are there, not for each "
                "window; apply beam.WindowInto(beam.window.GlobalWindows()) first"
            )
        scratch = scratch_folder(self.output, self.run_id)
        plan = PlanShards(self.format, self.output, self.run_id, self.num_shards, self.shard_bytes)
        return (
            elements
            | "WriteParts" >> beam.ParDo(WriteParts(self.format, scratch))
            | "AllParts" >> beam.CombineGlobally(ToListCombineFn()).without_defaults()
            | "PlanShards" >> beam.FlatMap(plan)
            | "SpreadShards" >> beam.Reshuffle()
            | "WriteShard" >> beam.ParDo(WriteShard(self.format, self.output, scratch))
        )
