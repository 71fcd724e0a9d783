"""Shards are even, complete and free of orphans."""

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from transforms.write.shards import Part, Shard, ShardFormat, WriteParts, WriteShard, WriteShards, plan_shards


@dataclasses.dataclass(frozen=True)
class Lines(ShardFormat):
    """Numbers as lines of text, in parts of three."""

    extension: str = ".txt"
    prefix: str = "numbers"
    rows_per_part = 3

    def encode(self, elements: list[int]) -> list[str]:
        return [f"{n}\n" for n in elements]

    def write(self, path: str, chunks: Iterable[list[str]]) -> None:
        pathlib.Path(path).write_text("".join(line for chunk in chunks for line in chunk))

    def read(self, path: str) -> Iterator[list[str]]:
        lines = pathlib.Path(path).read_text().splitlines(keepends=True)
        yield from (lines[i : i + 2] for i in range(0, len(lines), 2))


def plan(*rows: int, num_shards: int | None = None, shard_bytes: int = 1 << 20) -> list[Shard]:
    parts = [Part(f"part{i}", n, 10 * n) for i, n in enumerate(rows)]
    return plan_shards(parts, "embeddings-run", ".parquet", num_shards, shard_bytes)


def sizes(shards: list[Shard]) -> list[int]:
    return [sum(stop - start for _, start, stop in shard.slices) for shard in shards]


def rows_of(shards: list[Shard]) -> list[tuple[str, int]]:
    return [(path, row) for shard in shards for path, start, stop in shard.slices for row in range(start, stop)]


@pytest.mark.parametrize("rows", [(10,), (1, 1, 1, 1, 1, 1, 1, 1, 1, 1), (7, 3), (0, 9, 0, 1), (2, 5, 3)])
@pytest.mark.parametrize("num_shards", [1, 2, 3, 4, 7, 9, 10])
def test_shards_are_even_within_one_row_and_none_is_empty(rows: tuple[int, ...], num_shards: int) -> None:
    shards = plan(*rows, num_shards=num_shards)
    assert len(shards) == num_shards
    assert max(sizes(shards)) - min(sizes(shards)) <= 1
    assert min(sizes(shards)) >= 1


@pytest.mark.parametrize("num_shards", [1, 3, 5, 10])
def test_every_row_of_every_part_is_in_one_shard(num_shards: int) -> None:
    expected = [(f"part{i}", row) for i, n in enumerate((4, 0, 5, 1)) for row in range(n)]
    assert rows_of(plan(4, 0, 5, 1, num_shards=num_shards)) == expected


def test_more_shards_than_rows_become_one_for_each_row() -> None:
    assert sizes(plan(2, 1, num_shards=8)) == [1, 1, 1]


def test_no_rows_make_no_shards() -> None:
    assert plan(num_shards=3) == []
    assert plan(0, 0) == []


def test_names_have_their_number_and_the_total_in_five_digits() -> None:
    assert [s.name for s in plan(5, num_shards=2)] == [
        "embeddings-run-00000-of-00002.parquet",
        "embeddings-run-00001-of-00002.parquet",
    ]


@pytest.mark.parametrize(("shard_bytes", "expected"), [(1000, 1), (100, 1), (99, 2), (50, 2), (30, 4), (1, 10)])
def test_shard_bytes_decide_where_no_number_is_given(shard_bytes: int, expected: int) -> None:
    assert len(plan(6, 4, shard_bytes=shard_bytes)) == expected


def test_the_order_in_which_parts_are_known_does_not_matter() -> None:
    parts = [Part(name, 3, 30) for name in "dbca"]
    assert plan_shards(parts, "p", ".x", 5, 1) == plan_shards(parts[::-1], "p", ".x", 5, 1)


def test_every_row_is_written_once_from_several_bundles(tmp_path: pathlib.Path) -> None:
    with beam.Pipeline(runner=FnApiRunner()) as p:
        numbers = p | beam.Create(range(20)) | beam.FlatMap(lambda n: range(5 * n, 5 * n + 5)) | beam.Reshuffle()
        written = numbers | WriteShards(Lines(), str(tmp_path), "run", 4, 1)
        names = [f"numbers-run-{i:05d}-of-00004.txt" for i in range(4)]
        assert_that(written | beam.Map(lambda f: (f.name, f.rows)), equal_to([(name, 25) for name in names]))
    assert sorted(path.name for path in tmp_path.glob("*.txt")) == names
    lines = [line for name in names for line in (tmp_path / name).read_text().splitlines()]
    assert sorted(map(int, lines)) == list(range(100))


def test_a_written_file_says_its_size(tmp_path: pathlib.Path) -> None:
    with beam.Pipeline(runner=FnApiRunner()) as p:
        written = p | beam.Create([1, 22, 333]) | WriteShards(Lines(), str(tmp_path), "run", None, 1 << 20)
        assert_that(written | beam.Map(lambda f: (f.name, f.rows, f.bytes)), equal_to([(ONE, 3, 9)]))


ONE = "numbers-run-00000-of-00001.txt"


def test_an_orphaned_part_is_ignored(tmp_path: pathlib.Path) -> None:
    scratch = tmp_path / ".run-run"
    scratch.mkdir()
    (scratch / "00000000000000000000000000000000.txt").write_text("666\n")
    with beam.Pipeline(runner=FnApiRunner()) as p:
        _ = p | beam.Create([1, 2]) | WriteShards(Lines(), str(tmp_path), "run", None, 1 << 20)
    assert sorted((tmp_path / ONE).read_text().split()) == ["1", "2"]


def test_no_elements_write_no_file(tmp_path: pathlib.Path) -> None:
    with beam.Pipeline(runner=FnApiRunner()) as p:
        _ = p | beam.Create([]) | WriteShards(Lines(), str(tmp_path), "run", 3, 1)
    assert list(tmp_path.glob("*.txt")) == []


def test_a_bundle_writes_parts_of_bounded_length(tmp_path: pathlib.Path) -> None:
    write = WriteParts(Lines(), str(tmp_path))
    write.start_bundle()
    parts = [part for n in range(7) for part in write.process(n)] + [w.value for w in write.finish_bundle()]
    assert [(part.rows, part.bytes) for part in parts] == [(3, 6), (3, 6), (1, 2)]
    assert [pathlib.Path(part.path).read_text() for part in parts] == ["0\n1\n2\n", "3\n4\n5\n", "6\n"]


def test_a_shard_takes_its_rows_only_across_parts_and_chunks(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.txt").write_text("0\n1\n2\n3\n4\n")
    (tmp_path / "b.txt").write_text("5\n6\n7\n")
    shard = Shard("s.txt", ((str(tmp_path / "a.txt"), 1, 5), (str(tmp_path / "b.txt"), 0, 2)))
    (written,) = WriteShard(Lines(), str(tmp_path), str(tmp_path)).process(shard)
    assert (tmp_path / "s.txt").read_text() == "1\n2\n3\n4\n5\n6\n"
    assert (written.rows, written.bytes) == (6, 12)


def test_a_shard_that_is_written_again_replaces_itself(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.txt").write_text("0\n1\n")
    write = WriteShard(Lines(), str(tmp_path), str(tmp_path))
    for _ in range(2):
        assert [w.rows for w in write.process(Shard("s.txt", ((str(tmp_path / "a.txt"), 0, 2),)))] == [2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "s.txt"]
