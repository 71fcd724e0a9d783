"""The nearest rows, against a loop in float64 over all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.measure.cosines import unit_vectors
from transforms.measure.nearest import nearest

RANDOM = np.random.default_rng(1)


def by_hand(vectors: np.ndarray, wanted: np.ndarray, left_out: int | None) -> list[tuple[float, int]]:
    """All rows that have a cosine to a vector, the best first."""
    found = []
    for row, vector in enumerate(vectors.astype(np.float64)):
        length = np.sqrt((vector**2).sum()) * np.sqrt((wanted.astype(np.float64) ** 2).sum())
        if row != left_out and np.isfinite(length) and length > 0:
            found.append((float((vector * wanted).sum() / length), row))
    return sorted(found, key=lambda one: (-one[0], one[1]))


@pytest.fixture(params=[4096, 3], ids=["one block", "blocks of 3"])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.measure.cosines.BLOCK_ROWS", request.param)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("top", [1, 5, 100])
def test_the_nearest_are_those_of_a_loop(top: int) -> None:
    vectors = RANDOM.normal(size=(40, 6)).astype(np.float32)
    vectors[7], vectors[11], vectors[12, 0] = 3 * vectors[5], 0, np.nan
    wanted = np.stack([vectors[5], RANDOM.normal(size=6).astype(np.float32)])
    for leave_out in ([5, None], [None, 0]):
        found = nearest(unit_vectors(vectors), unit_vectors(wanted), top, leave_out)
        for near, one, left_out in zip(found, wanted, leave_out, strict=True):
            expected = by_hand(vectors, one, left_out)[:top]
            np.testing.assert_allclose([n.cosine for n in near], [cosine for cosine, _ in expected], atol=1e-6)
            assert {n.row for n in near} == {row for _, row in expected} or left_out is None


@pytest.mark.usefixtures("_blocks")
def test_of_equals_the_first_rows_are_found_and_nothing_is_near_to_zeros() -> None:
    vectors = unit_vectors(np.ones((9, 4), np.float32))
    (near, none) = nearest(vectors, np.stack([vectors[0], 0 * vectors[0]]), 4)
    assert [(one.row, one.cosine) for one in near] == [(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)]
    assert none == []


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_there_are_as_many_as_wanted_in_falling_order_and_no_other_is_nearer(
    rows: int, dim: int, top: int, seed: int
) -> None:
    vectors = unit_vectors(np.random.default_rng(seed).integers(-2, 3, (rows, dim)).astype(np.float32))
    (near,) = nearest(vectors, vectors[:1], top)
    cosines = [one.cosine for one in near]
    assert cosines == sorted(cosines, reverse=True)
    usable = vectors.any(axis=1)
    assert len(near) == (min(top, usable.sum()) if usable[0] else 0)
    others = set(range(rows)) - {one.row for one in near}
    for row in others if near else ():
        assert not usable[row] or vectors[row].astype(np.float64) @ vectors[0] <= cosines[-1] + 1e-6
