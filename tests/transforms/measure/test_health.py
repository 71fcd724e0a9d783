"""The health of vectors is what plain numpy finds."""

import pickle
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from transforms.core.elements import Embedding, ImageFacts, ImageUri
from transforms.measure.health import SAMPLE, MeasureHealth, VectorHealth


def health_of(vectors: Iterable[np.ndarray]) -> VectorHealth:
    health = VectorHealth()
    for vector in vectors:
        health.add(vector)
    return health


def by_numpy(matrix: np.ndarray) -> dict[str, Any]:
    finite = matrix[np.isfinite(matrix).all(axis=1)].astype(np.float64)
    norms = np.sqrt((finite**2).sum(axis=1))
    distinct = {row.tobytes() for row in matrix}
    return {
        "vectors": len(matrix),
        "nan": len(matrix) - len(finite),
        "zero": int((norms == 0).sum()),
        "norm_min": pytest.approx(norms.min()),
        "norm_mean": pytest.approx(norms.mean()),
        "norm_max": pytest.approx(norms.max()),
        "constant_dims": sum(len(set(finite[:, i])) == 1 for i in range(finite.shape[1])),
        "duplicates": pytest.approx(1 - len(distinct) / len(matrix)),
    }


def sample(n: int = 700) -> np.ndarray:
    """Vectors with all that can be wrong with them."""
    matrix = np.random.default_rng(1).normal(size=(n, 6)).astype(np.float32)
    matrix[:, 2] = 0.25
    matrix[:, 4] = 0
    matrix[10:30, :] = matrix[0]
    matrix[31, 3] = np.nan
    matrix[32, 0] = np.inf
    matrix[33] = np.nan
    return matrix


def test_a_report_equals_that_of_numpy() -> None:
    assert health_of(sample()).report() == by_numpy(sample())


def test_zero_vectors_are_counted() -> None:
    matrix = np.ones((5, 3), np.float32)
    matrix[[1, 4]] = 0
    report = health_of(matrix).report()
    assert (report["zero"], report["norm_min"], report["constant_dims"]) == (2, 0.0, 0)


def test_nan_and_infinity_are_kept_out_of_the_norms() -> None:
    matrix = np.array([[3, 4], [np.nan, 1], [np.inf, 1]], np.float32)
    report = health_of(matrix).report()
    assert (report["vectors"], report["nan"]) == (3, 2)
    assert (report["norm_min"], report["norm_mean"], report["norm_max"]) == (5.0, 5.0, 5.0)


def test_no_finite_vector_has_no_norm() -> None:
    report = health_of(np.full((2, 3), np.nan, np.float32)).report()
    assert (report["nan"], report["norm_min"], report["norm_mean"], report["norm_max"]) == (2, None, None, None)


def test_no_vectors_are_healthy() -> None:
    report = VectorHealth().report()
    assert report == {
        "vectors": 0,
        "nan": 0,
        "zero": 0,
        "norm_min": None,
        "norm_mean": None,
        "norm_max": None,
        "constant_dims": 0,
        "duplicates": 0.0,
    }


def test_one_vector_has_no_constant_dimensions() -> None:
    assert health_of(np.ones((1, 4), np.float32)).report()["constant_dims"] == 0


def test_norms_of_large_values_do_not_overflow() -> None:
    assert health_of(np.full((2, 4), 1e30, np.float32)).report()["norm_max"] == pytest.approx(2e30)


def test_float16_vectors_are_measured_without_overflow() -> None:
    assert health_of(np.full((2, 4), 60000, np.float16)).report()["norm_mean"] == pytest.approx(119_999, rel=1e-3)


@pytest.mark.parametrize("cuts", [[1], [255, 256, 257], [100, 100, 400], [699]])
def test_merged_accumulators_equal_one(cuts: list[int]) -> None:
    measure, matrix = MeasureHealth(), sample()
    merged = measure.merge_accumulators([health_of(piece) for piece in np.split(matrix, cuts)])
    assert measure.extract_output(merged) == by_numpy(matrix)


def test_merging_leaves_room_for_more_vectors() -> None:
    merged = MeasureHealth().merge_accumulators([health_of(sample()[:300])])
    for vector in sample()[300:]:
        merged.add(vector)
    assert merged.report() == by_numpy(sample())


def test_accumulators_survive_pickling_at_any_moment() -> None:
    health = VectorHealth()
    for i, vector in enumerate(sample()):
        health.add(vector)
        if i in (0, 254, 255, 400):
            health = pickle.loads(pickle.dumps(health))
    assert health.report() == by_numpy(sample())


def test_the_sample_stays_bounded_and_its_estimate_near_the_truth() -> None:
    """100,000 vectors, 60,000 distinct: 0.4 of them equal an earlier one."""
    numbers = np.random.default_rng(5).permutation(np.r_[np.arange(60_000), np.arange(40_000)]).astype(np.float32)
    health = health_of(numbers[:, None])
    assert health.report()["duplicates"] == pytest.approx(0.4, abs=0.02)
    assert len(health.sample) <= 2 * SAMPLE


def test_the_sample_stays_bounded_when_accumulators_merge() -> None:
    numbers = np.random.default_rng(6).permutation(np.r_[np.arange(60_000), np.arange(40_000)]).astype(np.float32)
    pieces = [health_of(piece[:, None]) for piece in np.split(numbers, [50_000, 90_000, 99_000])]
    merged = MeasureHealth().merge_accumulators(pieces)
    assert merged.report()["duplicates"] == pytest.approx(0.4, abs=0.02)
    assert merged.report()["vectors"] == 100_000
    assert len(merged.sample) <= 2 * SAMPLE


def test_duplicates_are_exact_below_the_sample_size() -> None:
    numbers = np.r_[np.arange(16_000), np.arange(4_000)].astype(np.float32)
    assert health_of(numbers[:, None]).report()["duplicates"] == pytest.approx(0.2)


def test_a_pipeline_measures_its_embeddings() -> None:
    facts = ImageFacts(1, 1, "PNG", "")
    embeddings = [Embedding(ImageUri(str(i)), facts, np.array([3, 4], np.float32)) for i in range(4)]
    with beam.Pipeline(runner=FnApiRunner()) as p:
        report = p | beam.Create(embeddings) | beam.Reshuffle() | beam.CombineGlobally(MeasureHealth())
        seen = report | beam.Map(lambda r: (r["vectors"], r["norm_mean"], r["constant_dims"], r["duplicates"]))
        assert_that(seen, equal_to([(4, 5.0, 2, 0.75)]))


def test_no_vector_travels_with_what_was_measured() -> None:
    combine, vectors = MeasureHealth(), np.random.default_rng(1).standard_normal((200, 1280)).astype(np.float32)
    health = combine.create_accumulator()
    for vector in vectors:
        health.add(vector)
    before = len(pickle.dumps(health))
    compacted = combine.compact(health)
    # Lowest and highest values of each dimension, and a hash of 8 bytes a vector.
    assert len(pickle.dumps(compacted)) < 20_000 < 1_000_000 < before
    assert compacted.report()["vectors"] == 200
