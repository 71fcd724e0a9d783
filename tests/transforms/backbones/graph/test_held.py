"""What a graph holds at once, against a machine of a memory that the test says."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import Backbone
from transforms.backbones.graph import held
from transforms.backbones.graph.held import Step, check_held, memory_of_this_machine, num_bytes
from transforms.core.errors import UsageError


def fits(steps: list[Step], memory: int) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held, "memory_of_this_machine", lambda: memory)
        try:
            check_held(steps, Backbone())
        except UsageError:
            return False
        return True


def least(steps: list[Step]) -> int:
    """Return the least memory that the steps fit into."""
    low, high = 1, sum(size for step in steps for size in step.gives.values())
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(steps, middle) else (middle + 1, high)
    return low


def test_a_chain_holds_what_two_steps_beside_each_other_give() -> None:
    chain = [
        Step("a", [], {"a": 5}),
        Step("b", ["a"], {"b": 7}),
        Step("c", ["b"], {"c": 1}),
        Step("d", ["c"], {"d": 9}),
    ]
    assert least(chain) == 12


def test_branches_are_held_until_they_are_joined() -> None:
    branches = [Step(f"branch {i}", ["image"], {i: 10}) for i in range(4)]
    assert least([Step("image", [], {"image": 3}), *branches, Step("sum", range(4), {"sum": 10})]) == 50


def test_what_nobody_reads_is_not_held() -> None:
    assert least([Step(str(i), [], {i: 10}) for i in range(5)]) == 10


@given(st.lists(st.tuples(st.integers(1, 9), st.sets(st.integers(0, 7))), min_size=1, max_size=8))
def test_no_value_is_lost_and_none_is_held_for_ever(made: list[tuple[int, set[int]]]) -> None:
    steps = [Step(str(i), [j for j in reads if j < i], {i: size}) for i, (size, reads) in enumerate(made)]
    readers = [max([i, *(j for j, step in enumerate(steps) if i in step.reads)]) for i in range(len(steps))]
    at_once = [sum(made[i][0] for i in range(now + 1) if readers[i] >= now) for now in range(len(steps))]
    assert least(steps) == max(at_once)


def test_the_message_says_where_and_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "memory_of_this_machine", lambda: 16 * 10**9)
    with pytest.raises(UsageError) as error:
        check_held([Step("image", [], {"image": 1}), Step("block/pad", ["image"], {"padded": 2 * 10**12})], Backbone())
    assert str(error.value) == (
        "MobileNetV2 cannot be run on images of 224 x 224 px: at block/pad it holds 2,000.0 GB for one image; this "
        "machine has 16.0 GB"
    )


def test_a_machine_that_does_not_tell_its_memory_refuses_nothing() -> None:
    assert fits([Step("a", [], {"a": 10**30})], 0)


def test_sizes_are_those_of_one_image() -> None:
    assert num_bytes((None, 7, 7, 1280), 4) == 7 * 7 * 1280 * 4
    assert num_bytes((), 8) == 8


def test_the_memory_is_the_machine_s() -> None:
    with open("/proc/meminfo") as f:
        (total,) = [int(line.split()[1]) << 10 for line in f if line.startswith("MemTotal")]
    assert abs(memory_of_this_machine() - total) < os.sysconf("SC_PAGE_SIZE")
