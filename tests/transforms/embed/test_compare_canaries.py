"""The processes of a run compute the same, or the run fails; what the manifest says of them."""

import dataclasses
import itertools

import numpy as np
import pytest

from transforms.core.errors import RunError
from transforms.embed.canary import Canary, Computed, Worker
from transforms.embed.compare_canaries import CompareCanaries

VECTORS = np.random.default_rng(0).normal(0, 1, (8, 6)).astype(np.float32)
FIRST = Worker("openvino", "2026.4.1", "CPU", "AMD EPYC 7B13", rewrites=True)
SECOND = Worker("tensorflow", "2.21.0", "GPU", "NVIDIA H200", rewrites=False)
NEARLY = Canary(VECTORS * np.float32(1 + 1e-6), "ab")
OTHER = Canary(VECTORS[::-1].copy(), "ab")


def combined(*found: Computed, expected: Canary | None = None) -> dict:
    """Combine as a runner does: in bundles of two."""
    combine = CompareCanaries("float32", expected)
    accumulators = []
    for bundle in itertools.batched(found, 2) if hasattr(itertools, "batched") else [found[:2], found[2:]]:
        accumulator = combine.create_accumulator()
        for computed in bundle:
            accumulator = combine.add_input(accumulator, computed)
        accumulators.append(accumulator)
    return combine.extract_output(combine.merge_accumulators(accumulators))


def test_the_manifest_says_each_kind_of_worker_once_in_whatever_order_they_come() -> None:
    found = [Computed(Canary(VECTORS, "ab"), FIRST), Computed(NEARLY, SECOND), Computed(Canary(VECTORS, "ab"), FIRST)]
    for order in itertools.permutations(found):
        assert combined(*order) == {
            "canary": Canary(VECTORS, "ab").entry(),
            "workers": [dataclasses.asdict(FIRST), dataclasses.asdict(SECOND)],
        }


def test_of_workers_of_one_kind_that_differ_in_their_last_bits_one_is_told() -> None:
    found = combined(Computed(NEARLY, FIRST), Computed(Canary(VECTORS, "ab"), FIRST))
    assert found["workers"] == [dataclasses.asdict(FIRST)]


def test_two_workers_that_compute_different_embeddings_fail_the_run() -> None:
    found = [Computed(Canary(VECTORS, "ab"), FIRST), Computed(OTHER, SECOND)]
    for order in (found, found[::-1]):
        with pytest.raises(RunError) as failure:
            combined(*order)
        assert str(failure.value).startswith("the workers of this run compute different embeddings (cosine -")
        assert str(failure.value).endswith(
            ", at least 0.99999 is needed): openvino 2026.4.1 on AMD EPYC 7B13, and tensorflow 2.21.0 on NVIDIA H200 "
            "without rewrites; run it on machines of one kind"
        )


def test_the_canary_of_the_collections_first_run_stays() -> None:
    expected = Canary(VECTORS, "ab")
    assert combined(Computed(NEARLY, SECOND), expected=expected)["canary"] == expected.entry()
    assert combined(expected=expected) == {"canary": expected.entry(), "workers": []}


def test_a_run_in_which_nothing_was_embedded_has_no_canary() -> None:
    assert combined() == {"canary": None, "workers": []}
