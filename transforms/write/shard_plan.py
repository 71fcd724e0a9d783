"""Divide rows into shards of even size: plain arithmetic, without Beam."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from transforms.collection.layout import FileKind
from transforms.core.uri_sum import UriSum


@dataclasses.dataclass(frozen=True)
class Part:
    """A file whose rows go to shards: one that a bundle wrote, or one that stood before.

    Attributes:
      path: the whole path.
      rows: number of rows that go to shards.
      num_bytes: size in bytes.
      dropped: numbers of the rows that do not, ascending.
    """

    path: str
    rows: int
    num_bytes: int
    dropped: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file to be written.

    Attributes:
      name: its path below the output folder.
      slices: the rows [start, stop) of each part that it gets, counted without those that are dropped.
      dropped: the numbers of these, by the part's path, for parts that have any.
    """

    name: str
    slices: tuple[tuple[str, int, int], ...]
    dropped: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class WrittenFile:
    """A file of the output folder: its path below the folder, the sum of its rows' uris, its size in bytes."""

    name: str
    uris: UriSum
    num_bytes: int


@dataclasses.dataclass(frozen=True)
class StandingFile:
    """A file that an earlier run wrote, and its rows that no longer stand.

    Attributes:
      name: its path below the output folder.
      uris: sum of the uris of all of its rows.
      num_bytes: size in bytes.
      dropped: numbers of the rows that no longer stand, ascending.
      dropped_uris: sum of their uris.
    """

    name: str
    uris: UriSum
    num_bytes: int
    dropped: tuple[int, ...] = ()
    dropped_uris: UriSum = dataclasses.field(default_factory=UriSum)

    @property
    def rows_left(self) -> int:
        """Number of rows that stand."""
        return self.uris.count - len(self.dropped)

    @property
    def bytes_left(self) -> int:
        """Size of these, in bytes, as if all rows were of the same size."""
        return self.num_bytes * self.rows_left // max(self.uris.count, 1)


def kept_as_they_are(
    standing: Sequence[StandingFile], has_parts: bool, shard_bytes: int, rewrites: bool = False
) -> list[StandingFile]:
    """Return the files that need not be written again.

    The others lose rows, or are small and written again as one, so that at most one small file is left behind a run.

    Args:
      standing: all files of a kind.
      has_parts: whether there are new rows.
      shard_bytes: target size, in bytes; a file is small below half of it.
      rewrites: whether all are written again in any case.
    """
    whole = [] if rewrites else [file for file in standing if not file.dropped]
    kept = [file for file in whole if file.num_bytes >= shard_bytes / 2]
    # One small file with which nothing is merged may stay.
    return whole if len(standing) - len(kept) == 1 and not has_parts else kept


def plan_shards(
    parts: Iterable[Part], kind: FileKind, run_id: str, num_shards: int | None, shard_bytes: int
) -> list[Shard]:
    """Divide the rows of all parts evenly: shards differ by one row at most, and none is empty.

    Args:
      parts: in any order.
      kind: kind of file, which names the shards.
      run_id: id of the run, part of their names.
      num_shards: number of shards; None lets `shard_bytes` decide.
      shard_bytes: target size, in bytes.
    """
    ordered = sorted((p for p in parts if p.rows), key=lambda p: p.path)
    total = sum(p.rows for p in ordered)
    if not total:
        return []
    # Rounded, so that none is smaller than three quarters of the target but for a single one.
    wanted = num_shards or round(sum(p.num_bytes for p in ordered) / shard_bytes)
    count = max(1, min(wanted, total))
    dropped = {part.path: part.dropped for part in ordered if part.dropped}
    slices = _divided(ordered, [total * (i + 1) // count for i in range(count)])
    return [
        Shard(
            kind.shard_name(run_id, i, count),
            found,
            {path: dropped[path] for path, _, _ in found if path in dropped},
        )
        for i, found in enumerate(slices)
    ]


def _divided(parts: Sequence[Part], ends: Sequence[int]) -> Iterator[tuple[tuple[str, int, int], ...]]:
    """Yield the slices of each shard, the last row of which is one before its end among all rows."""
    ahead, start = iter(parts), 0
    part, used = next(ahead), 0
    for end in ends:
        slices = []
        while start < end:
            if used == part.rows:
                part, used = next(ahead), 0
            taken = min(part.rows - used, end - start)
            slices.append((part.path, used, used + taken))
            used, start = used + taken, start + taken
        yield tuple(slices)


def to_json(shards: Iterable[Shard]) -> str:
    """Return a plan as text."""
    return json.dumps([dataclasses.asdict(shard) for shard in shards], ensure_ascii=False)


def from_json(text: str | bytes) -> list[Shard]:
    """Return the plan that `to_json` made into text."""
    return [
        Shard(shard["name"], tuple(map(tuple, shard["slices"])), {k: tuple(v) for k, v in shard["dropped"].items()})
        for shard in json.loads(text)
    ]
