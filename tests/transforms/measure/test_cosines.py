"""Unit vectors and cosines: against float64, where a vector has a direction, and where it has none."""

import numpy as np
import pytest

from transforms.measure.cosines import blocks, exact_cosines, has_direction, rounding, rows_per_block, unit_vectors

RANDOM = np.random.default_rng(0)


def test_vectors_are_scaled_to_unit_length_whatever_their_size() -> None:
    vectors = RANDOM.normal(size=(5, 7)) * np.array([[1e-30], [1e-3], [1], [1e3], [1e30]])
    unit = unit_vectors(vectors.astype(np.float32))
    assert unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(unit.astype(np.float64), axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(unit, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_has_no_direction_becomes_zeros(dtype: type) -> None:
    vectors = np.array([[1, 2], [0, 0], [np.nan, 1], [np.inf, 1], [-np.inf, np.inf]], dtype)
    unit = unit_vectors(vectors)
    assert has_direction(unit).tolist() == [True, False, False, False, False]
    assert not unit[1:].any()


def test_equal_vectors_have_a_cosine_of_exactly_1_and_none_is_outside_of_its_range() -> None:
    unit = unit_vectors(RANDOM.normal(size=(500, 333)).astype(np.float32))
    rows = np.arange(500)
    assert (exact_cosines(unit, rows, unit, rows) == 1).all()
    assert (exact_cosines(unit, rows, -unit, rows) == -1).all()


def test_a_cosine_does_not_depend_on_what_else_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = unit_vectors(RANDOM.normal(size=(100, 33)).astype(np.float32))
    rows, others = RANDOM.integers(0, 100, (2, 400))
    together = exact_cosines(unit, rows, unit, others)
    monkeypatch.setattr("transforms.measure.cosines.EXACT_BYTES", 3 * 8 * 33)
    np.testing.assert_array_equal(exact_cosines(unit, rows, unit, others), together)
    for row, other, cosine in zip(rows, others, together, strict=True):
        a, b = unit[row].astype(np.float64), unit[other].astype(np.float64)
        assert abs(cosine - a @ b / np.sqrt((a @ a) * (b @ b))) < 1e-12


def test_products_in_float32_are_no_further_off_than_the_rounding_says() -> None:
    """Vectors of equal signs, the sums of which grow most."""
    unit = unit_vectors(RANDOM.uniform(0.9, 1, (200, 3000)).astype(np.float32))
    exact = unit.astype(np.float64) @ unit.T.astype(np.float64)
    assert 0 < np.abs(unit @ unit.T - exact).max() < rounding(3000) < 1e-3


def test_blocks_hold_each_row_once_and_no_more_bytes_than_they_may() -> None:
    assert list(blocks(0, 4)) == []
    assert [(one.start, one.stop) for one in blocks(10, 4)] == [(0, 4), (4, 8), (8, 10)]
    assert rows_per_block(64) == rows_per_block(1280) == 4096
    assert rows_per_block(100_352) * 4 * 100_352 <= 64 << 20
    assert rows_per_block(1 << 30) == 1
