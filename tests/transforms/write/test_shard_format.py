"""What a format must offer, and how many rows a bundle buffers."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from transforms.write.shard_format import PART_BYTES, PART_ROWS, EmbeddingsFormat, ShardFormat, rows_per_part


@pytest.mark.parametrize(("dim", "rows"), [(1, 4096), (512, 4096), (513, 4088), (1280, 1638), (100352, 20), (10**8, 1)])
def test_parts_stay_below_8_mib_of_vectors_and_4096_rows(dim: int, rows: int) -> None:
    assert rows_per_part(dim) == rows


@pytest.mark.parametrize("dim", [1, 2, 3, 511, 512, 513, 2048, 100_352, 1 << 21, (1 << 21) + 1, 10**9])
def test_a_part_is_as_large_as_it_may_be_and_never_empty(dim: int) -> None:
    rows = rows_per_part(dim)
    assert 1 <= rows <= PART_ROWS
    assert rows == 1 or rows * 4 * dim <= PART_BYTES
    assert rows == PART_ROWS or (rows + 1) * 4 * dim > PART_BYTES


class Half(ShardFormat):
    """A format that cannot read."""

    def encode(self, elements: list[Any]) -> Any:
        return elements

    def uris(self, chunk: Any) -> list[str]:
        return list(chunk)

    def write(self, path: str, chunks: Iterable[Any]) -> None:
        pass


class Whole(Half):
    """A format that can."""

    def read(self, path: str) -> Iterator[Any]:
        yield from [["a", "b"], [], ["c"]]


def test_a_format_that_lacks_a_part_of_it_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="read"):
        Half()  # type: ignore[abstract]
    assert Whole().rows_per_part == PART_ROWS


def test_rows_of_a_chunk_are_chosen_and_uris_read_without_another_line() -> None:
    assert Whole().select(["a", "b", "c"], np.array([True, False, True])) == ["a", "c"]
    assert list(Whole().uris_in("file")) == [["a", "b"], [], ["c"]]


def test_embeddings_can_be_read_back_or_are_no_format_of_embeddings() -> None:
    class Blind(Whole, EmbeddingsFormat):
        """A format of embeddings that only writes."""

    with pytest.raises(TypeError, match=r"comparable.*embeddings.*keys"):
        Blind()  # type: ignore[abstract]
