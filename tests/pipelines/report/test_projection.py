"""A plane on which what is alike lies together; any number of vectors of any width has one."""

import numpy as np
import pytest

from pipelines.report.projection import plane
from transforms.measure.cosines import unit_vectors

RANDOM = np.random.default_rng(3)


@pytest.mark.parametrize(("rows", "dim"), [(1, 4), (2, 4), (3, 1), (7, 2), (8, 1), (8, 2), (9, 60), (60, 3)])
def test_any_number_of_vectors_of_any_width_has_a_place(rows: int, dim: int) -> None:
    found = plane(unit_vectors(RANDOM.normal(size=(rows, dim))))
    assert found.shape == (rows, 2)
    assert np.isfinite(found).all()


def test_equal_vectors_and_zeros_have_one() -> None:
    assert not plane(np.ones((20, 4), np.float32)).any()
    assert np.isfinite(plane(np.concatenate([np.zeros((5, 4)), np.eye(4), np.eye(4)]))).all()


def test_what_is_alike_lies_together_and_a_second_plane_is_the_same() -> None:
    centres = RANDOM.normal(size=(3, 16))
    vectors = unit_vectors(np.repeat(centres, 20, axis=0) + 0.05 * RANDOM.normal(size=(60, 16)))
    found = plane(vectors)
    np.testing.assert_array_equal(found, plane(vectors))
    for row, place in enumerate(found):
        distances = np.linalg.norm(found - place, axis=1)
        distances[row] = np.inf
        assert distances.argmin() // 20 == row // 20
