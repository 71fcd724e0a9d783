"""Whatever the parts, a plan of shards has each row once, evenly."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from transforms.collection.layout import EMBEDDINGS, FAILURES, FileKind
from transforms.write.shard_plan import Part, plan_shards

KINDS = st.sampled_from([*EMBEDDINGS.values(), FAILURES])
NUM_SHARDS = st.none() | st.integers(1, 60)
ROWS = st.integers(0, 40) | st.integers(0, 10**12)
# Few bytes, since there is a shard for each of them where shard_bytes is 1.
PARTS = st.lists(st.tuples(ROWS, st.integers(0, 200)), max_size=12).map(
    lambda parts: [Part(f"out/.run-R/{i}", rows, num_bytes) for i, (rows, num_bytes) in enumerate(parts)]
)


@given(st.data(), PARTS, KINDS, NUM_SHARDS, st.integers(1, 2000))
def test_each_row_of_each_part_is_in_one_shard_and_shards_are_even(
    data: st.DataObject, parts: list[Part], kind: FileKind, num_shards: int | None, shard_bytes: int
) -> None:
    shards = plan_shards(data.draw(st.permutations(parts)), kind, "R", num_shards, shard_bytes)
    slices = sorted(itertools.chain.from_iterable(shard.slices for shard in shards))
    for part in parts:
        ends = [0]
        for path, start, stop in slices:
            if path == part.path:
                assert start == ends[-1] < stop
                ends.append(stop)
        assert ends[-1] == part.rows
    sizes = [sum(stop - start for _, start, stop in shard.slices) for shard in shards]
    assert sum(sizes) == sum(part.rows for part in parts)
    assert all(sizes)
    assert max(sizes, default=0) - min(sizes, default=0) <= 1
    assert {path for path, _, _ in slices} <= {part.path for part in parts}


@given(PARTS, NUM_SHARDS, st.integers(1, 2000))
def test_there_are_as_many_shards_as_asked_for_or_as_the_bytes_need(
    parts: list[Part], num_shards: int | None, shard_bytes: int
) -> None:
    shards = plan_shards(parts, FAILURES, "R", num_shards, shard_bytes)
    rows = sum(part.rows for part in parts)
    num_bytes = sum(part.num_bytes for part in parts if part.rows)
    wanted = num_shards or max(round(num_bytes / shard_bytes), 1)
    assert len(shards) == min(wanted, rows)
    assert [shard.name for shard in shards] == [FAILURES.shard_name("R", i, len(shards)) for i in range(len(shards))]


@given(st.data(), PARTS, NUM_SHARDS)
def test_the_order_in_which_parts_are_known_changes_nothing(
    data: st.DataObject, parts: list[Part], num_shards: int | None
) -> None:
    shuffled = data.draw(st.permutations(parts))
    assert plan_shards(shuffled, FAILURES, "R", num_shards, 100) == plan_shards(parts, FAILURES, "R", num_shards, 100)
