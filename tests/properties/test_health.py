"""The health of vectors is the same however they are split into pieces, and in whatever order these come."""

import math
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from transforms.measure import health
from transforms.measure.health import MeasureHealth, VectorHealth

# Few values, so that vectors repeat and dimensions are constant.
VALUES = st.sampled_from([0.0, -0.0, 1.0, -2.5, 1e30, math.nan, math.inf]) | st.floats(width=32)
SHAPES = st.tuples(st.integers(1, 24), st.integers(1, 3))
MATRICES = hnp.arrays(np.float32, SHAPES, elements=VALUES, fill=st.nothing())
FEW = st.lists(st.integers(0, 9), min_size=1, max_size=40).map(lambda numbers: np.array(numbers, np.float32)[:, None])
"""Few vectors, many times each."""
BLOCKS = st.integers(1, 8)
"""Vectors that are measured at once."""


def by_hand(matrix: np.ndarray) -> dict[str, Any]:
    """Return the health of a matrix as plain Python finds it."""
    finite = [row for row in matrix.astype(np.float64).tolist() if all(map(math.isfinite, row))]
    norms = [math.hypot(*row) for row in finite]
    columns = list(zip(*finite, strict=True))
    return {
        "vectors": len(matrix),
        "nan": len(matrix) - len(finite),
        "zero": norms.count(0.0),
        "norm_min": pytest.approx(min(norms)) if norms else None,
        "norm_mean": pytest.approx(math.fsum(norms) / len(norms)) if norms else None,
        "norm_max": pytest.approx(max(norms)) if norms else None,
        "constant_dims": sum(len(set(column)) == 1 for column in columns) if len(finite) > 1 else 0,
        "duplicates": pytest.approx(1 - len({row.tobytes() for row in matrix}) / len(matrix)),
    }


def health_of(matrix: np.ndarray) -> VectorHealth:
    found = VectorHealth()
    for vector in matrix:
        found.add(vector)
    return found


def pieces_of(data: st.DataObject, matrix: np.ndarray) -> list[np.ndarray]:
    """Draw pieces that hold each row once, in any order, some of them empty."""
    order = data.draw(st.permutations(range(len(matrix))))
    cuts = data.draw(st.lists(st.integers(0, len(matrix)), max_size=5).map(sorted))
    return np.split(matrix[order], cuts)


@given(st.data(), MATRICES, BLOCKS)
def test_the_health_of_any_pieces_is_that_of_the_whole(data: st.DataObject, matrix: np.ndarray, block: int) -> None:
    measure = MeasureHealth()
    with mock.patch.object(health, "BLOCK", block):
        whole = health_of(matrix).report()
        merged = measure.merge_accumulators([health_of(piece) for piece in pieces_of(data, matrix)])
        report = measure.extract_output(merged)
    assert whole == by_hand(matrix)
    assert report == by_hand(matrix)
    assert {**report, "norm_mean": whole["norm_mean"]} == whole


@given(st.data(), FEW, BLOCKS, st.integers(1, 3))
def test_vectors_of_a_sample_are_counted_exactly_however_small_it_is(
    data: st.DataObject, matrix: np.ndarray, block: int, sample: int
) -> None:
    times: dict[bytes, int] = {}
    for row in matrix:
        times[row.tobytes()] = times.get(row.tobytes(), 0) + 1
    by_key = {next(iter(health_of_one(row).sample)): n for row, n in times.items()}
    with mock.patch.multiple(health, BLOCK=block, SAMPLE=sample):
        merged = MeasureHealth().merge_accumulators([health_of(piece) for piece in pieces_of(data, matrix)])
        merged.report()
    assert len(merged.sample) <= 2 * sample
    assert len(merged.sample) >= min(sample, len(times))
    # The kept vectors are those with the smallest hashes, each with all of its repetitions.
    kept = sorted(by_key)[: len(merged.sample)]
    assert merged.sample == {key: by_key[key] for key in kept}


def health_of_one(row: bytes) -> VectorHealth:
    found = health_of(np.frombuffer(row, np.float32)[None])
    found.report()
    return found
