"""Divide rows into shards of even size: plain arithmetic, without Beam."""

import dataclasses
import json
import math
from collections.abc import Iterable

from transforms.collection.layout import FileKind
from transforms.core.uri_sum import UriSum


@dataclasses.dataclass(frozen=True)
class Part:
    """A file that one bundle wrote: its path, its rows, its size in bytes."""

    path: str
    rows: int
    num_bytes: int


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file to be written: its path below the output folder, and the rows [start, stop) of each part that it gets."""

    name: str
    slices: tuple[tuple[str, int, int], ...]


@dataclasses.dataclass(frozen=True)
class WrittenFile:
    """A file of the output folder: its path below the folder, the sum of its rows' uris, its size in bytes."""

    name: str
    uris: UriSum
    num_bytes: int


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
    wanted = num_shards or math.ceil(sum(p.num_bytes for p in ordered) / shard_bytes)
    count = max(1, min(wanted, total))
    bounds = [total * i // count for i in range(count + 1)]
    starts = [0]
    for part in ordered:
        starts.append(starts[-1] + part.rows)
    shards = []
    for i in range(count):
        slices = tuple(
            (part.path, max(bounds[i] - start, 0), min(bounds[i + 1] - start, part.rows))
            for part, start in zip(ordered, starts, strict=False)
            if start < bounds[i + 1] and start + part.rows > bounds[i]
        )
        shards.append(Shard(kind.shard_name(run_id, i, count), slices))
    return shards


def to_json(shards: Iterable[Shard]) -> str:
    """Return a plan as text."""
    return json.dumps([dataclasses.asdict(shard) for shard in shards], ensure_ascii=False)


def from_json(text: str | bytes) -> list[Shard]:
    """Return the plan that `to_json` made into text."""
    return [Shard(shard["name"], tuple(map(tuple, shard["slices"]))) for shard in json.loads(text)]
