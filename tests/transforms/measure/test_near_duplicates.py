"""Pairs by a pipeline are those that one process finds, however the rows are divided among files and blocks."""

import itertools
from collections.abc import Sequence

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.measure.test_pairs import vectors_of
from transforms.measure import cosines
from transforms.measure.cosines import unit_vectors
from transforms.measure.near_duplicates import NearDuplicates, RowRange, Rows, blocks_of
from transforms.measure.pairs import Pair, pairs_above, pairs_of

VECTORS = vectors_of(60, 3, seed=5)
FILES = {"a": range(25), "b": range(25, 26), "c": range(26, 60)}
"""Rows by the file that holds them."""


def uri(row: int) -> str:
    """A name that sorts in another order than the rows."""
    return f"{(row * 37) % 60:02d}.jpg"


def read(rows: RowRange) -> Rows:
    numbers = FILES[rows.path][rows.start : rows.stop]
    return [uri(row) for row in numbers], VECTORS[numbers.start : numbers.stop]


def here(above: float) -> list[Pair]:
    found = []
    for some in pairs_above(unit_vectors(VECTORS), above):
        found += pairs_of([uri(row) for row in some.a], [uri(row) for row in some.b], some.cosines)
    return sorted(found)


@pytest.mark.parametrize("size", [4096, 60, 11, 1])
def test_a_pipeline_finds_the_pairs_that_one_process_finds(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = here(0.97)
    assert 10 < len(expected) < 600
    monkeypatch.setattr(cosines, "BLOCK_ROWS", size)
    blocks = blocks_of([(path, len(rows)) for path, rows in FILES.items()], dim=3)

    def check(found: Sequence[Pair]) -> None:
        assert sorted(found) == expected

    with beam.Pipeline(FnApiRunner()) as root:
        assert_that(root | NearDuplicates(blocks, read, 0.97), check)


def test_a_cosine_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"above must be from -1 to 1, is 1\.5"):
        NearDuplicates([], read, 1.5)


@given(st.lists(st.integers(0, 40), max_size=8), st.integers(1, 50))
def test_blocks_hold_each_row_once_in_order_and_are_even(sizes: list[int], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cosines, "BLOCK_ROWS", size)
        blocks = blocks_of([(str(number), rows) for number, rows in enumerate(sizes)], dim=1)
    rows = [(part.path, row) for block in blocks for part in block for row in range(part.start, part.stop)]
    assert rows == [(str(number), row) for number, rows in enumerate(sizes) for row in range(rows)]
    lengths = [sum(part.stop - part.start for part in block) for block in blocks]
    assert set(lengths[:-1]) <= {size}
    assert all(0 < length <= size for length in lengths)
    assert all(part.start < part.stop for part in itertools.chain(*blocks))


def test_numbers_that_are_no_vectors_are_in_no_pair() -> None:
    named = {name for pair in here(-1.0) for name in pair[:2]}
    assert named == {uri(row) for row in range(60) if np.isfinite(VECTORS[row]).all() and VECTORS[row].any()}
