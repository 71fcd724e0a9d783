"""Readers of others take each folder of the output as it is, with no list of files, and find the same rows."""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars
import pyarrow.dataset
import pyarrow.parquet
import pytest
import tensorflow as tf

from pipelines.command import main
from tests.conftest import sample_image

Rows = list[dict[str, Any]]
COLUMNS = ["uri", "embedding", "width", "height", "format", "sha256", "version", "label", "n"]
SHARDS = 3


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder of 10 images, with a uri list that also names a broken one."""
    folder = tmp_path_factory.mktemp("photos")
    lines = ["uri,label,n", "broken.jpg,none,-1"]
    for i in range(10):
        name = f"{i}.{'png' if i % 3 else 'jpg'}"
        sample_image(i, 64 + i, 48 + 2 * i).save(folder / name)
        lines.append(f"{name},label ä {i % 4},{i}")
    (folder / "broken.jpg").write_bytes(b"broken")
    (folder / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def output(photos: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """What a run writes in both formats, into several files each, with a failure."""
    folder = tmp_path_factory.mktemp("run") / "out"
    flags = ["--backbone", "MobileNet", "--backbone_kwargs", '{"alpha": 0.25}', "--weights", "random"]
    flags += ["--image_size", "32", "--output_format", "parquet,tfrecord", "--num_shards", str(SHARDS)]
    assert main(["--input", str(photos / "list.csv"), "--output", str(folder), *flags]) == 0
    return folder


def sorted_rows(rows: Rows) -> list[list[Any]]:
    """Return the rows in the order of their uris, as values that compare whichever library they came from."""
    plain = [{**row, "embedding": np.asarray(row["embedding"], np.float32).tolist()} for row in rows]
    return [[row[name] for name in COLUMNS] for row in sorted(plain, key=lambda row: row["uri"])]


@pytest.fixture(scope="module")
def expected(photos: pathlib.Path, output: pathlib.Path) -> list[list[Any]]:
    """The rows of the files that the manifest names, read one by one; all but the vectors also made by hand."""
    manifest = json.loads((output / "manifest.json").read_text())
    files = [f for f in manifest["files"] if f["name"].endswith(".parquet")]
    tables = [pyarrow.parquet.ParquetFile(output / f["name"]).read() for f in files]
    assert [f["rows"] for f in files] == [len(table) for table in tables] == [3, 3, 4]
    rows = sorted_rows([row for table in tables for row in table.to_pylist()])
    assert all(len(vector) == 256 and any(vector) for _, vector, *_ in rows)
    by_hand = []
    for i in range(10):
        path = photos / f"{i}.{'png' if i % 3 else 'jpg'}"
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        version = f"mtime:{path.stat().st_mtime_ns},size:{path.stat().st_size}"
        facts = [64 + i, 48 + 2 * i, "PNG" if i % 3 else "JPEG", sha256, version]
        by_hand.append([str(path), *facts, f"label ä {i % 4}", i])
    assert [[uri, *rest] for uri, _, *rest in rows] == sorted(by_hand)
    return rows


def with_duckdb(folder: pathlib.Path) -> Rows:
    return duckdb.sql(f"select * from read_parquet('{folder}/*')").to_arrow_table().to_pylist()


READERS: dict[str, Callable[[pathlib.Path], Rows]] = {
    "pandas": lambda folder: pd.read_parquet(folder).to_dict("records"),
    "pyarrow.dataset": lambda folder: pyarrow.dataset.dataset(folder).to_table().to_pylist(),
    "pyarrow.parquet": lambda folder: pyarrow.parquet.read_table(folder).to_pylist(),
    "polars": lambda folder: polars.read_parquet(folder).to_dicts(),
    "polars, lazily": lambda folder: polars.scan_parquet(folder).collect().to_dicts(),
    "DuckDB": with_duckdb,
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_reader_takes_the_folder_of_parquet_as_it_is(
    read: Callable[[pathlib.Path], Rows], output: pathlib.Path, expected: list[list[Any]]
) -> None:
    rows = read(output / "parquet")
    assert {tuple(row) for row in rows} == {tuple(COLUMNS)}
    assert sorted_rows(rows) == expected


LOAD_DATASET = """
import json, sys
import datasets
rows = datasets.load_dataset("parquet", data_dir=sys.argv[1], split="train", cache_dir=sys.argv[2])
print(json.dumps(rows.to_list()))
"""


def test_hugging_face_takes_the_folder_of_parquet_as_it_is(
    output: pathlib.Path, expected: list[list[Any]], tmp_path: pathlib.Path
) -> None:
    # The library reads these variables at its import.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", LOAD_DATASET, str(output / "parquet"), str(tmp_path / "cache")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)
    assert {tuple(row) for row in rows} == {tuple(COLUMNS)}
    assert sorted_rows(rows) == expected


def test_tensorflow_takes_the_folder_of_records_as_its_features_say(
    output: pathlib.Path, expected: list[list[Any]]
) -> None:
    features = {
        name: getattr(tf.io, f["kind"])(f["shape"], f["dtype"], **f["arguments"])
        for name, f in json.loads((output / "tfrecord" / "features.json").read_text()).items()
    }
    assert list(features) == COLUMNS
    files = sorted(tf.io.gfile.glob(str(output / "tfrecord" / "*.tfrecord.gz")))
    assert len(files) == SHARDS
    dataset = tf.data.TFRecordDataset(files, "GZIP").map(lambda record: tf.io.parse_single_example(record, features))
    assert sorted_rows([plain(example) for example in dataset.as_numpy_iterator()]) == expected


def plain(example: dict[str, Any]) -> dict[str, Any]:
    """Return the row of an example, whose carried columns are sequences."""
    row = {name: value.decode() if isinstance(value, bytes) else value for name, value in example.items()}
    ((label,), (n,)) = row["label"], row["n"]
    return {**row, "label": label.decode(), "n": n}


def test_failures_are_lines_that_polars_and_duckdb_read(output: pathlib.Path, photos: pathlib.Path) -> None:
    folder = output / "failures"
    for (row,) in (
        polars.read_ndjson(f"{folder}/*").to_dicts(),
        duckdb.sql(f"select * from read_json('{folder}/*')").to_arrow_table().to_pylist(),
    ):
        assert (row["uri"], row["stage"], row["reason"]) == (str(photos / "broken.jpg"), "decode", "not_an_image")
        assert (row["label"], row["n"]) == ("none", -1)
