"""The points: all rows, or the same sample each time, with what they carry; what has no direction has no place."""

import dataclasses
import datetime
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.projector.points import points_of
from pipelines.similar.collection import open_collection
from tests.collection_files import FORMATS, collection, embedding
from transforms.collection.columns import schema_text
from transforms.core.elements import Embedding
from transforms.core.errors import RunError, UsageError

ROWS = [embedding(f"/{i:02}.jpg", label=i) for i in range(40)]


def zero(uri: str) -> Embedding:
    return dataclasses.replace(embedding(uri, label=7), embedding=np.zeros(4, np.float32))


def unit(row: Embedding) -> np.ndarray:
    return np.asarray(row.embedding / np.sqrt(np.square(row.embedding.astype(np.float64)).sum()))


@pytest.mark.parametrize("format_", FORMATS)
def test_few_rows_are_all_shown(format_: str, tmp_path: pathlib.Path) -> None:
    collection(tmp_path, ROWS, formats={format_: FORMATS[format_]()})
    points = points_of(open_collection(str(tmp_path)), 40)
    assert points.uris == [row.source.uri for row in ROWS]
    np.testing.assert_allclose(points.vectors, [unit(row) for row in ROWS], atol=1e-6)
    assert points.columns == {"label": [str(i) for i in range(40)]}


@pytest.mark.parametrize("format_", FORMATS)
def test_of_many_the_same_sample_is_shown_each_time(format_: str, tmp_path: pathlib.Path) -> None:
    collection(tmp_path, ROWS, formats={format_: FORMATS[format_]()})
    found = points_of(open_collection(str(tmp_path)), 12)
    by_uri = {row.source.uri: row for row in ROWS}
    assert len(set(found.uris)) == 12
    assert found.uris != [row.source.uri for row in ROWS[:12]]
    np.testing.assert_allclose(found.vectors, [unit(by_uri[uri]) for uri in found.uris], atol=1e-6)
    assert found.columns["label"] == [str(by_uri[uri].source.columns["label"]) for uri in found.uris]
    assert points_of(open_collection(str(tmp_path)), 12).uris == found.uris


def test_what_has_no_direction_is_left_out(tmp_path: pathlib.Path) -> None:
    collection(tmp_path, [ROWS[0], zero("/zero.jpg"), ROWS[1]])
    points = points_of(open_collection(str(tmp_path)), 10)
    assert points.uris == ["/00.jpg", "/01.jpg"]
    assert points.columns == {"label": ["0", "1"]}


def test_a_collection_without_any_direction_is_refused(tmp_path: pathlib.Path) -> None:
    collection(tmp_path, [zero("/zero.jpg")])
    with pytest.raises(UsageError, match="there is nothing to show"):
        points_of(open_collection(str(tmp_path)), 10)


def test_a_file_that_is_gone_is_an_error_of_the_run(tmp_path: pathlib.Path) -> None:
    collection(tmp_path, ROWS)
    found = open_collection(str(tmp_path))
    pathlib.Path(found.files[0][0]).unlink()
    with pytest.raises(RunError, match=r"cannot read .*; if a run has just replaced it, try again"):
        points_of(found, 10)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    ("type_", "value", "shown"),
    [
        (pa.string(), "a cat", "a cat"),
        (pa.string(), None, ""),
        (pa.float64(), 0.5, "0.5"),
        (pa.list_(pa.int64()), [1, 2], "[1, 2]"),
        (pa.list_(pa.string()), ["a", "b"], '["a", "b"]'),
        (pa.date32(), datetime.date(2026, 1, 2), "2026-01-02"),
        (pa.binary(), b"text", "text"),
        (pa.binary(), b"\xff\xfe", "//4="),
        (pa.struct([("x", pa.int64())]), {"x": 1}, '{"x": 1}'),
    ],
    ids=str,
)
def test_a_value_of_any_type_is_text(
    format_: str, type_: pa.DataType, value: Any, shown: str, tmp_path: pathlib.Path
) -> None:
    carried = pa.schema([("value", type_)])
    rows = [embedding("/a.jpg", value=value)]
    collection(tmp_path, rows, formats={format_: FORMATS[format_](carried)}, columns=schema_text(carried))
    assert points_of(open_collection(str(tmp_path)), 1).columns == {"value": [shown]}
