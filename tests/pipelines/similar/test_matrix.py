"""The matrix holds the unit vectors of all rows; it is made once, kept in the cache, and never in the collection."""

import pathlib

import numpy as np
import pytest

from pipelines.similar.collection import open_collection
from pipelines.similar.matrix import matrix_of
from tests.collection_files import FORMATS, collection, embedding
from tests.pipelines.conftest import files_in
from transforms.core.errors import RunError, UsageError

ROWS = [embedding(f"/{i}.jpg", label=i) for i in range(8)]


@pytest.fixture
def cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("EMBED_IMAGES_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("format_", FORMATS)
def test_it_holds_the_unit_vector_of_each_row(format_: str, tmp_path: pathlib.Path, cache: pathlib.Path) -> None:
    collection(tmp_path / "out", ROWS, formats={format_: FORMATS[format_]()})
    before = files_in(tmp_path / "out")
    with matrix_of(open_collection(str(tmp_path / "out"))) as matrix:
        assert matrix.uris.to_pylist() == [row.source.uri for row in ROWS]
        for row, vector in zip(ROWS, matrix.vectors, strict=True):
            wide = row.embedding.astype(np.float64)
            np.testing.assert_allclose(vector, wide / np.linalg.norm(wide), rtol=1e-6)
        assert matrix.row_of("/3.jpg") == 3
        assert matrix.row_of("/none.jpg") is None
        assert matrix.uris_of([5, 0]) == ["/5.jpg", "/0.jpg"]
    assert files_in(tmp_path / "out") == before
    assert not matrix.vectors.flags.writeable


def test_what_is_kept_is_used_again_without_a_look_at_the_files(tmp_path: pathlib.Path, cache: pathlib.Path) -> None:
    collection(tmp_path / "out", ROWS)
    found = open_collection(str(tmp_path / "out"))
    with matrix_of(found) as first:
        vectors = np.array(first.vectors)
    (kept,) = cache.iterdir()
    assert kept.name.startswith("similar-")
    pathlib.Path(found.files[0][0]).unlink()
    with matrix_of(found) as second:
        np.testing.assert_array_equal(second.vectors, vectors)


def test_other_files_are_another_entry(tmp_path: pathlib.Path, cache: pathlib.Path) -> None:
    for name, rows in (("one", ROWS), ("two", ROWS[:3])):
        collection(tmp_path / name, rows)
        with matrix_of(open_collection(str(tmp_path / name))) as matrix:
            assert len(matrix.vectors) == len(matrix.uris) == len(rows)
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("why", ["off", "too large"])
def test_without_a_cache_it_lasts_as_long_as_the_block(
    why: str, tmp_path: pathlib.Path, cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "off":
        monkeypatch.setenv("EMBED_IMAGES_CACHE", "")
    else:
        monkeypatch.setattr("transforms.storage.cache.MAX_BYTES", 4 * 8 * 4)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    collection(tmp_path / "out", ROWS)
    with matrix_of(open_collection(str(tmp_path / "out"))) as matrix:
        assert len(matrix.vectors) == 8
        assert len(files_in(tmp_path / "tmp")) == 2
    assert files_in(tmp_path / "tmp") == []
    assert files_in(cache) == []


def test_a_matrix_that_cannot_be_made_leaves_nothing(tmp_path: pathlib.Path, cache: pathlib.Path) -> None:
    collection(tmp_path / "out", ROWS)
    found = open_collection(str(tmp_path / "out"))
    pathlib.Path(found.files[0][0]).unlink()
    with pytest.raises(RunError, match="cannot read"), matrix_of(found):
        pass
    assert files_in(cache) == []


def test_a_full_disk_is_one_line_that_says_how_much_is_needed(
    tmp_path: pathlib.Path, cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    collection(tmp_path / "out", ROWS)
    monkeypatch.setattr("numpy.lib.format.write_array_header_1_0", full)
    with (
        pytest.raises(UsageError, match=r"cannot write the vectors, 0\.0 GB, to .*No space left.*EMBED_IMAGES_CACHE"),
        matrix_of(open_collection(str(tmp_path / "out"))),
    ):
        pass
