"""What a format must offer, how many rows a bundle buffers, and that every format gives back its vectors."""

import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.collection_files import FORMATS, LABEL, embedding, write
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


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("start", "stop"), [(0, None), (0, 5), (2, 3), (3, 9), (4, 11), (7, None), (10, 11), (5, 5)])
def test_a_range_of_rows_is_read_with_its_vectors_whatever_the_chunks_are(
    name: str, start: int, stop: int | None, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A row group of Parquet for each chunk.
    monkeypatch.setattr("transforms.write.parquet.ROW_GROUP_BYTES", 1)
    rows = [embedding(f"/{i}.jpg", label=i) for i in range(11)]
    format_ = FORMATS[name](LABEL)
    path = tmp_path / "file"
    format_.write(str(path), [format_.encode(rows[i : i + 3]) for i in range(0, 11, 3)])
    found = list(format_.vectors(str(path), start, stop))
    assert [uri for uris, _ in found for uri in uris] == [row.source.uri for row in rows[start:stop]]
    assert all(len(uris) == len(vectors) <= 3 for uris, vectors in found)
    expected = [row.embedding for row in rows[start:stop]]
    np.testing.assert_array_equal([vector for _, vectors in found for vector in vectors], expected)


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_file_has_no_vectors(name: str, tmp_path: pathlib.Path) -> None:
    format_ = FORMATS[name](LABEL)
    assert list(format_.vectors(write(format_, tmp_path / "file", []))) == []


@pytest.mark.parametrize("name", FORMATS)
def test_the_facts_of_images_are_those_that_were_written(name: str, tmp_path: pathlib.Path) -> None:
    rows = [embedding(f"/{i}.jpg", label=i) for i in range(7)]
    format_ = FORMATS[name](LABEL)
    found = format_.facts(write(format_, tmp_path / "file", rows))
    assert [one for some in found for one in some] == [row.facts for row in rows]
