"""Rows are divided into even shards, of which none is empty."""

import pytest

from transforms.collection.layout import EMBEDDINGS, FAILURES
from transforms.write.shard_plan import Part, Shard, plan_shards


def plan(*rows: int, num_shards: int | None = None, shard_bytes: int = 1 << 20) -> list[Shard]:
    parts = [Part(f"part{i}", n, 10 * n) for i, n in enumerate(rows)]
    return plan_shards(parts, EMBEDDINGS["parquet"], "run", num_shards, shard_bytes)


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
        "parquet/embeddings-run-00000-of-00002.parquet",
        "parquet/embeddings-run-00001-of-00002.parquet",
    ]


@pytest.mark.parametrize(
    ("shard_bytes", "expected"), [(1000, 1), (100, 1), (99, 1), (60, 2), (50, 2), (30, 3), (1, 10)]
)
def test_shard_bytes_decide_where_no_number_is_given(shard_bytes: int, expected: int) -> None:
    assert len(plan(6, 4, shard_bytes=shard_bytes)) == expected


def test_the_order_in_which_parts_are_known_does_not_matter() -> None:
    parts = [Part(name, 3, 30) for name in "dbca"]
    assert plan_shards(parts, FAILURES, "run", 5, 1) == plan_shards(parts[::-1], FAILURES, "run", 5, 1)


def test_slices_of_a_part_that_gives_nothing_are_not_named() -> None:
    (shard,) = plan(2, 0, 3, num_shards=1)
    assert shard.slices == (("part0", 0, 2), ("part2", 0, 3))


def test_the_bytes_of_empty_parts_make_no_shard() -> None:
    parts = [Part("a", 2, 10), Part("b", 0, 1000)]
    assert sizes(plan_shards(parts, FAILURES, "run", None, 10)) == [2]
