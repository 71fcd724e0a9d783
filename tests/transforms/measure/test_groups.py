"""Groups of pairs, against a walk through a graph."""

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from transforms.measure.groups import Groups

PAIRS = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)).filter(lambda pair: pair[0] != pair[1]))


def by_walking(pairs: list[tuple[int, int]]) -> list[list[int]]:
    beside: dict[int, set[int]] = {}
    for a, b in pairs:
        beside.setdefault(a, set()).add(b)
        beside.setdefault(b, set()).add(a)
    found, left = [], set(beside)
    while left:
        reached, waiting = set(), [min(left)]
        while waiting:
            one = waiting.pop()
            if one not in reached:
                reached.add(one)
                waiting += beside[one]
        left -= reached
        found.append(sorted(reached))
    return sorted(found, key=lambda group: (-len(group), group))


@given(PAIRS, st.randoms())
def test_the_groups_are_what_a_walk_reaches_in_whatever_order_pairs_come(
    pairs: list[tuple[int, int]], random: random.Random
) -> None:
    expected = by_walking(pairs)
    assert Groups(pairs).found() == expected
    random.shuffle(pairs)
    assert Groups((b, a) for a, b in pairs).found() == expected


def test_a_chain_of_many_is_one_group() -> None:
    uris = [f"{i:06d}" for i in range(50_000)]
    for order in (1, -1):
        pairs = list(itertools.pairwise(uris))[::order]
        assert Groups(pairs).found() == [uris]


def test_groups_are_sorted_by_size_then_by_name() -> None:
    groups: Groups[str] = Groups([("x", "y"), ("b", "a"), ("m", "n")])
    groups.join("n", "o")
    assert groups.found() == [["m", "n", "o"], ["a", "b"], ["x", "y"]]
