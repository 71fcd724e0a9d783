"""Rows are divided into even shards, of which none is empty."""

import dataclasses
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.collection.layout import EMBEDDINGS, FAILURES
from transforms.core.uri_sum import UriSum
from transforms.write.shard_plan import (
    Part,
    Shard,
    StandingFile,
    from_json,
    kept_as_they_are,
    plan_shards,
    to_json,
)


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


ROWS = st.lists(st.lists(st.booleans(), max_size=9), max_size=5)
"""For each part, whether each of its rows stands."""


@given(ROWS, st.integers(1, 7) | st.none(), st.integers(1, 200))
def test_every_row_that_stands_is_in_one_shard_in_order(
    stands: list[list[bool]], num_shards: int | None, shard_bytes: int
) -> None:
    parts = [
        Part(f"part{i}", sum(rows), 10 * len(rows), tuple(n for n, stands in enumerate(rows) if not stands))
        for i, rows in enumerate(stands)
    ]
    shards = plan_shards(parts, EMBEDDINGS["parquet"], "run", num_shards, shard_bytes)
    assert from_json(to_json(shards)) == shards
    left = {f"part{i}": [n for n, stands in enumerate(rows) if stands] for i, rows in enumerate(stands)}
    found = []
    for shard in shards:
        for path, start, stop in shard.slices:
            numbers = [n for n in range(9) if n not in shard.dropped.get(path, ())]
            found += [(path, n) for n in numbers[start:stop]]
        assert set(shard.dropped) <= {path for path, _, _ in shard.slices}
    assert found == [(path, n) for path, numbers in left.items() for n in numbers]
    assert all(sizes(shards))


def file(rows: int, dropped: int = 0, row_bytes: int = 10, name: str = "f") -> StandingFile:
    uris = UriSum(rows, 0)
    return StandingFile(name, uris, row_bytes * rows, tuple(range(dropped)), UriSum(dropped, 0))


@pytest.mark.parametrize(
    ("standing", "has_parts", "kept"),
    [
        ([], True, []),
        ([file(50)], True, [0]),
        ([file(49)], True, []),
        ([file(49)], False, [0]),
        ([file(49), file(49)], False, []),
        ([file(50), file(49)], False, [0, 1]),
        ([file(50), file(49)], True, [0]),
        ([file(50, 1), file(49)], False, []),
        ([file(50, 1), file(50)], False, [1]),
        ([file(50), file(49, 1)], False, [0]),
    ],
)
def test_files_are_kept_that_are_large_and_whole_and_a_single_small_one(
    standing: list[StandingFile], has_parts: bool, kept: list[int]
) -> None:
    """A file of 50 rows has half of the size that is wanted."""
    named = [dataclasses.replace(one, name=f"f{i}") for i, one in enumerate(standing)]
    assert kept_as_they_are(named, has_parts, 1000) == [named[i] for i in kept]


@given(st.lists(st.builds(file, st.integers(1, 99))), st.booleans())
def test_where_all_is_written_again_nothing_is_kept(standing: list[StandingFile], has_parts: bool) -> None:
    assert kept_as_they_are(standing, has_parts, 1000, rewrites=True) == []


NIGHT = st.tuples(st.lists(st.integers(1, 30), max_size=3), st.floats(0, 1), st.randoms(use_true_random=False))
"""Rows of each new part, the part of what stands that is dropped, and which."""


@given(st.lists(NIGHT, max_size=8), st.integers(50, 400))
def test_at_most_one_small_file_is_left_after_any_sequence_of_runs(
    nights: list[tuple[list[int], float, Random]], shard_bytes: int
) -> None:
    files: dict[str, int] = {}
    for night, (new, share, random) in enumerate(nights):
        standing = [
            StandingFile(
                name,
                UriSum(rows, 0),
                10 * rows,
                tuple(sorted(random.sample(range(rows), random.choice([0, int(share * rows)])))),
            )
            for name, rows in files.items()
        ]
        kept = kept_as_they_are(standing, bool(new), shard_bytes)
        assert not any(one.dropped for one in kept)
        parts = [Part(f"new{i}", rows, 10 * rows) for i, rows in enumerate(new)]
        parts += [Part(one.name, one.rows_left, one.bytes_left, one.dropped) for one in standing if one not in kept]
        shards = plan_shards(parts, EMBEDDINGS["parquet"], f"run{night}", None, shard_bytes)
        written = {shard.name: size for shard, size in zip(shards, sizes(shards), strict=True)}
        before = sum(one.rows_left for one in standing) + sum(new)
        files = {**{one.name: one.uris.count for one in kept}, **written}
        assert sum(files.values()) == before
        assert sum(10 * rows < shard_bytes / 2 for rows in files.values()) <= 1


@pytest.mark.parametrize(("rows", "dropped", "left"), [(4, 0, 40), (4, 1, 30), (4, 4, 0), (0, 0, 0)])
def test_a_file_is_as_large_as_the_rows_that_stand_in_it(rows: int, dropped: int, left: int) -> None:
    assert (file(rows, dropped).rows_left, file(rows, dropped).bytes_left) == (rows - dropped, left)
