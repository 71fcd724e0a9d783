"""A collection is opened by its manifest alone, in either format; what is none is refused in one line."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from pipelines.similar.collection import open_any_collection, open_collection
from tests.collection_files import collection, embedding, parquet, tfrecord
from tests.pipelines.similar.conftest import Made
from transforms.collection.layout import EMBEDDINGS
from transforms.core.errors import RunError, UsageError
from transforms.measure.near_duplicates import RowRange

ROWS = [embedding(f"/{i}.jpg", label=i) for i in range(5)]


@pytest.mark.parametrize(
    "formats",
    [{"parquet": parquet()}, {"tfrecord": tfrecord()}, {"parquet": parquet(), "tfrecord": tfrecord()}],
    ids=",".join,
)
def test_rows_are_read_whatever_the_format_is(formats: dict, tmp_path: pathlib.Path) -> None:
    collection(tmp_path, ROWS, formats=formats)
    found = open_collection(str(tmp_path))
    ((path, rows),) = found.files
    assert (rows, found.rows, found.spec.dim) == (5, 5, 4)
    assert path.endswith(EMBEDDINGS[next(iter(formats))].extension)
    uris, vectors = found.read(RowRange(path, 1, 4))
    assert uris == ["/1.jpg", "/2.jpg", "/3.jpg"]
    np.testing.assert_array_equal(vectors, [row.embedding for row in ROWS[1:4]])
    assert found.carried == ["label"]
    keys = [(uri, carried) for some in found.row_keys() for uri, carried in zip(some.uris, some.carried, strict=True)]
    assert [uri for uri, _ in keys] == [row.source.uri for row in ROWS]
    assert [np.ravel(carried).tolist() for _, carried in keys] == [[i] for i in range(5)]


def test_a_folder_without_a_collection_is_refused_with_the_one_that_may_be_meant(made: Made) -> None:
    with pytest.raises(UsageError, match=r"there is no collection in --embeddings .*; embed-images makes one"):
        open_collection(str(made.photos))
    with pytest.raises(UsageError, match=rf"in --embeddings {made.folder.parent}; did you mean {made.folder}\?"):
        open_collection(str(made.folder.parent))


def test_a_collection_without_rows_is_refused(tmp_path: pathlib.Path) -> None:
    collection(tmp_path, [])
    with pytest.raises(UsageError, match="has no embeddings"):
        open_collection(str(tmp_path))
    found = open_any_collection(str(tmp_path))
    assert (found.rows, found.files, found.spec.dim) == (0, [], 4)


@pytest.mark.parametrize("text", ["{half", "7", '{"run_id": "a"}', '{"run_id": "a", "embedding_spec": {"dim": 3}}'])
def test_a_manifest_that_is_none_is_refused(text: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UsageError, match="cannot read the collection in --embeddings"):
        open_collection(str(tmp_path))


def test_a_file_that_is_gone_or_was_cut_fails_with_its_name(tmp_path: pathlib.Path) -> None:
    collection(tmp_path, ROWS)
    found = open_collection(str(tmp_path))
    ((path, rows),) = found.files
    data = pathlib.Path(path).read_bytes()
    for content in (data[: len(data) // 2], None):
        pathlib.Path(path).unlink() if content is None else pathlib.Path(path).write_bytes(content)
        with pytest.raises(RunError, match=rf"cannot read {path}; if a run has just replaced it, try again: "):
            found.read(RowRange(path, 0, rows))


@pytest.mark.parametrize("change", ["rows", "dim"])
def test_other_rows_than_the_manifest_says_fail(change: str, tmp_path: pathlib.Path) -> None:
    collection(tmp_path, ROWS)
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text())
    if change == "rows":
        manifest["files"][0]["rows"] = 6
    else:
        manifest["embedding_spec"]["dim"] = 2
    path.write_text(json.dumps(manifest))
    found = open_collection(str(tmp_path))
    with pytest.raises(RunError, match=r"does not hold the rows that manifest\.json says"):
        list(found.read.chunks(RowRange(found.files[0][0], 0, found.rows)))


def test_a_copy_of_a_folder_is_the_same_collection(tmp_path: pathlib.Path) -> None:
    collection(tmp_path / "one", ROWS)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    one, two = (open_collection(str(tmp_path / name)) for name in ("one", "two"))
    assert one.entries == two.entries
