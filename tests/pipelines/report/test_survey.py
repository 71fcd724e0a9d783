"""Neighbours, groups and odd ones, against loops in float64."""

import itertools

import numpy as np
import pytest

from pipelines.report import survey
from pipelines.report.survey import NEIGHBOURS, survey_of
from pipelines.similar.matrix import sample
from transforms.measure.cosines import unit_vectors

RANDOM = np.random.default_rng(2)


def vectors(rows: int, dim: int = 5) -> np.ndarray:
    return unit_vectors(RANDOM.normal(size=(rows, dim)))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a.astype(np.float64) @ b.astype(np.float64))


@pytest.mark.parametrize("at_a_time", [2048, 7])
def test_the_neighbours_are_those_of_a_loop(at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "AT_A_TIME", at_a_time)
    some = vectors(40)
    found = survey_of(some, np.random.default_rng(0))
    for row, near in found.neighbours.items():
        others = sorted((-cosine(some[row], some[other]), other) for other in range(40) if other != row)
        assert [one.row for one in near] == [other for _, other in others[:NEIGHBOURS]]
        np.testing.assert_allclose([one.cosine for one in near], [-c for c, _ in others[:NEIGHBOURS]], atol=1e-6)
    oddest = sorted(range(40), key=lambda row: found.neighbours[row][0].cosine)
    assert found.odd(3) == oddest[:3]


def test_of_many_rows_some_are_compared_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "COMPARISONS", 60 * 300)
    monkeypatch.setattr(survey, "AT_LEAST", 10)
    some = vectors(300)
    found = survey_of(some, np.random.default_rng(0))
    assert len(found.neighbours) == 60
    for row, near in found.neighbours.items():
        assert near[0].row == max((r for r in range(300) if r != row), key=lambda r: cosine(some[row], some[r]))


def test_groups_are_what_a_loop_connects_the_clearest_first() -> None:
    base = np.eye(6, 8)
    rows = [base[0], base[0], base[1] + 0.1 * base[2], base[1], base[1] - 0.1 * base[2], base[3], base[4], base[5]]
    some = unit_vectors(np.array(rows))
    found = survey_of(some, np.random.default_rng(0)).groups(0.99)
    assert [group.rows for group in found] == [[0, 1], [2, 3, 4]]
    assert found[0].least == 1.0
    linked = [c for a, b in itertools.combinations([2, 3, 4], 2) if (c := cosine(some[a], some[b])) >= 0.99]
    assert found[1].least == pytest.approx(min(linked), abs=1e-6)
    assert survey_of(some, np.random.default_rng(0)).groups(1.0)[0].rows == [0, 1]


def test_many_equal_rows_are_one_group() -> None:
    (group,) = survey_of(np.ones((50, 4), np.float32) / 2, np.random.default_rng(0)).groups(1.0)
    assert group == (list(range(50)), 1.0)


def test_what_has_no_direction_has_no_neighbours_and_is_none() -> None:
    some = vectors(4)
    some[2] = 0
    found = survey_of(some, np.random.default_rng(0))
    assert found.neighbours[2] == []
    assert {near.row for row in (0, 1, 3) for near in found.neighbours[row]} == {0, 1, 3}
    assert set(found.odd(9)) == {0, 1, 3}


def test_one_row_is_alone() -> None:
    found = survey_of(vectors(1), np.random.default_rng(0))
    assert (found.neighbours, found.odd(5), found.groups(-1.0)) == ({0: []}, [], [])


def test_a_sample_is_all_or_as_many_as_wanted_and_none_twice() -> None:
    assert sample(3, 5, RANDOM).tolist() == [0, 1, 2]
    found = sample(100, 5, RANDOM).tolist()
    assert len(set(found)) == 5
    assert found == sorted(found)
