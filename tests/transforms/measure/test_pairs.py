"""All pairs above a cosine, against two loops in float64."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.measure import cosines
from transforms.measure.cosines import unit_vectors
from transforms.measure.pairs import Pair, comparisons, pairs_above, pairs_between, pairs_of


def by_hand(vectors: np.ndarray, above: float) -> dict[tuple[int, int], float]:
    """The cosines of all pairs of rows that have one of at least `above`."""
    found = {}
    for (i, a), (j, b) in itertools.combinations(enumerate(vectors.astype(np.float64)), 2):
        with np.errstate(invalid="ignore"):
            lengths = np.sqrt((a * a).sum()) * np.sqrt((b * b).sum())
        if np.isfinite(lengths) and lengths > 0 and (a * b).sum() / lengths >= above:
            found[i, j] = float((a * b).sum() / lengths)
    return found


def found_in(vectors: np.ndarray, above: float) -> dict[tuple[int, int], float]:
    found: dict[tuple[int, int], float] = {}
    for some in pairs_above(unit_vectors(vectors), above):
        for a, b, cosine in zip(*(one.tolist() for one in some), strict=True):
            assert (a, b) not in found
            found[a, b] = cosine
    return found


def vectors_of(rows: int, dim: int, seed: int) -> np.ndarray:
    """Vectors of which some are alike, some equal, some zero and some not finite."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(rows, dim)).astype(np.float32)
    for row in range(1, rows):
        kind = random.integers(6)
        if kind == 0:
            vectors[row] = vectors[row - 1] + 0.1 * vectors[row]
        elif kind == 1:
            vectors[row] = 2 * vectors[row - 1]
        elif kind == 2:
            vectors[row] = random.choice([0, np.nan, np.inf])
    return vectors


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 50), st.floats(-1, 1), st.integers(0, 2**32 - 1))
def test_the_pairs_are_those_of_two_loops_however_rows_are_divided(
    rows: int, dim: int, block: int, above: float, seed: int
) -> None:
    vectors = vectors_of(rows, dim, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cosines, "BLOCK_ROWS", block)
        found = found_in(vectors, above)
    # At the threshold itself rounding decides, which begins with the unit vectors.
    surely, perhaps = by_hand(vectors, above + 1e-6), by_hand(vectors, above - 1e-6)
    assert surely.keys() <= found.keys() <= perhaps.keys()
    for pair, cosine in found.items():
        assert abs(cosine - perhaps[pair]) < 1e-6
        assert above <= cosine <= 1
    assert found == found_in(vectors, above)


def test_equal_vectors_are_pairs_of_exactly_1() -> None:
    random = np.random.default_rng(3)
    vectors = np.repeat(random.normal(size=(50, 77)).astype(np.float32), 2, axis=0)
    assert found_in(vectors, 1.0) == {(2 * i, 2 * i + 1): 1.0 for i in range(50)}


def test_of_two_blocks_only_pairs_across_are_found() -> None:
    a = unit_vectors(np.eye(3, dtype=np.float32))
    found = pairs_between(a, a, 0.5)
    assert (found.a.tolist(), found.b.tolist(), found.cosines.tolist()) == ([0, 1, 2], [0, 1, 2], [1.0] * 3)
    assert len(pairs_between(a, a, 0.5, same=True).a) == 0


def test_a_named_pair_has_the_lesser_uri_first() -> None:
    assert list(pairs_of(["b", "c"], ["a", "d"], np.array([0.5, 1.0]))) == [Pair("a", "b", 0.5), Pair("c", "d", 1.0)]


@given(st.integers(1, 12), st.integers(1, 12))
def test_two_blocks_are_compared_as_often_as_is_foretold(rows: int, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cosines, "BLOCK_ROWS", block)
        found = list(pairs_above(np.zeros((rows, 3), np.float32), 0.5))
        assert len(found) == comparisons(rows, 3)
