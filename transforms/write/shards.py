"""Write elements to files of even size, with bounded memory.

Each bundle writes its elements to parts in the run's scratch folder. When all parts are known, their rows are divided
into shards, and each shard copies its rows from the parts. Files that earlier runs wrote, and that lose rows or are
small, are parts like others. A retried bundle leaves an orphaned part, which nothing refers to and the clean-up
removes. The plan of the shards is put once: where a runner repeats a step, the later plan, which may see other parts,
gives way to the first.
"""

import dataclasses
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.combiners import ToListCombineFn
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from transforms.collection.layout import LOCK, PARTIAL, path_of, plan_path, scratch_folder
from transforms.core.counters import count, timed
from transforms.core.errors import UsageError
from transforms.core.stage import typed
from transforms.core.uri_sum import UriSum
from transforms.storage.files import move, read_locally, read_whole, written_locally
from transforms.storage.gcs import LostRaceError
from transforms.storage.paths import scheme_of
from transforms.storage.versions import exclusive, put_if_unchanged
from transforms.write.shard_format import ShardFormat
from transforms.write.shard_plan import (
    Part,
    Shard,
    StandingFile,
    WrittenFile,
    from_json,
    kept_as_they_are,
    plan_shards,
    to_json,
)

PART_SECONDS = 30.0
"""Seconds after which a bundle writes what it has as a part: a run that dies loses no more of its work."""
KEPT = "kept"


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
        now = time.monotonic()
        if not self._elements:
            self._since = now
        self._elements.append(element)
        if len(self._elements) >= self.format.rows_per_part or now - self._since > PART_SECONDS:
            yield self._flush()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._elements:
            yield GlobalWindows.windowed_value_at_end_of_window(self._flush())

    def _flush(self) -> Part:
        with timed("write-busy-us"):
            return self._write()

    def _write(self) -> Part:
        chunk = self.format.encode(self._elements)
        self._elements = []
        path = path_of(self.scratch, self.format.kind.part_name())
        # Under another name until it is whole, as an object is anyway: a later run reads the parts of one that died.
        partial = path if scheme_of(path) else f"{path}{PARTIAL}"
        with written_locally(partial) as local:
            self.format.write(local, [chunk])
            num_bytes = os.path.getsize(local)
        if partial != path:
            move(partial, path)
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
    rewrites: bool = False

    def __call__(self, found: Iterable[Part | StandingFile]) -> list[Any]:
        """Return the shards that are to be written, and the WrittenFiles that stay, tagged KEPT."""
        all_found = list(found)
        parts = [one for one in all_found if isinstance(one, Part) and one.rows]
        standing = [one for one in all_found if isinstance(one, StandingFile)]
        kept = kept_as_they_are(standing, bool(parts), self.shard_bytes, self.rewrites)
        kept_names = {file.name for file in kept}
        parts += [
            Part(path_of(self.output, file.name), file.rows_left, file.bytes_left, file.dropped)
            for file in standing
            if file.name not in kept_names
        ]
        stay = [TaggedOutput(KEPT, WrittenFile(file.name, file.uris, file.num_bytes)) for file in kept]
        return [*stay, *(self._planned(parts) if parts or not standing else [])]

    def _planned(self, parts: Iterable[Part]) -> list[Shard]:
        """Return the plan of the shards that stands."""
        kind = self.format.kind
        planned = plan_shards(parts, kind, self.run_id, self.num_shards, self.shard_bytes)
        path = plan_path(self.output, self.run_id, kind)
        partial = path_of(scratch_folder(self.output, self.run_id), kind.part_name() + PARTIAL)
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
        partial = path_of(self.scratch, self.format.kind.part_name() + PARTIAL)
        uris: list[UriSum] = []
        with written_locally(partial) as local:
            self.format.write(local, self._rows(shard, uris))
            num_bytes = os.path.getsize(local)
        move(partial, path_of(self.output, shard.name))
        return WrittenFile(shard.name, UriSum.total(uris), num_bytes)

    def _rows(self, shard: Shard, uris: list[UriSum]) -> Iterator[Any]:
        """Yield the chunks of a shard, and note the uris of each."""
        for path, start, stop in shard.slices:
            row, number, dropped = 0, 0, np.array(shard.dropped.get(path, ()), np.int64)
            with read_locally(path) as local:
                for chunk in self.format.read(local):
                    if len(dropped):
                        keep = np.ones(len(chunk), bool)
                        here = slice(*np.searchsorted(dropped, (number, number + len(chunk))))
                        keep[dropped[here] - number] = False
                        number += len(chunk)
                        chunk = self.format.select(chunk, keep)
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
      standing: a PCollection of the StandingFiles of the same kind; None if there are none.
      rewrites: whether all of these are written again.
      more: further PCollections of elements. Flattened with the first, they would end its fused stage, and no part
        would be written before all elements are there.
    """

    format: ShardFormat
    output: str
    run_id: str
    num_shards: int | None
    shard_bytes: int
    standing: Any = None
    rewrites: bool = False
    more: Sequence[Any] = ()

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, elements: Any) -> Any:
        if not elements.windowing.is_default():
            raise UsageError(
                f"the files of {self.format.kind.folder}/ are written once all elements are there, not for each "
                "window; apply beam.WindowInto(beam.window.GlobalWindows()) first"
            )
        scratch = scratch_folder(self.output, self.run_id)
        plan = PlanShards(
            self.format, self.output, self.run_id, self.num_shards, self.shard_bytes, rewrites=self.rewrites
        )
        parts = [
            one | f"WriteParts{number or ''}" >> beam.ParDo(WriteParts(self.format, scratch))
            for number, one in enumerate((elements, *self.more))
        ]
        standing = [] if self.standing is None else [self.standing]
        planned = (
            (*parts, *standing)
            | "Parts" >> beam.Flatten()
            | "AllParts" >> beam.CombineGlobally(ToListCombineFn()).without_defaults()
            | "PlanShards" >> beam.FlatMap(plan).with_outputs(KEPT, main="shards")
        )
        written = (
            typed(planned.shards, Shard)
            | "SpreadShards" >> beam.Reshuffle()
            | "WriteShard" >> beam.ParDo(WriteShard(self.format, self.output, scratch))
        )
        return (written, typed(planned[KEPT], WrittenFile)) | "Files" >> beam.Flatten()
