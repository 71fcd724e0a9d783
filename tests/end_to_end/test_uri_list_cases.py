"""Uri lists that went wrong, which lie beside the test data: each row is an embedding or a failure, with its values."""

import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fake_backbone import spec
from transforms import Embedding, Failure, FetchImages, ImageError, ImageFacts, ReadImageUris
from transforms.collection.columns import embeddings_schema
from transforms.read.rows import read_source
from transforms.write.parquet import ParquetFormat

VALUES = {
    "csv_id_int_then_float.csv": [*map(str, range(2**53 + 1, 2**53 + 6)), "1.5"],
    "dup_cols.csv": [1] * 6,
    "fixed-size-list-with-null.parquet": [[1, 2], [3, 4], None],
    "list-of-nulls.jsonl": [[None, None]],
    "long_field.csv": ["x" * 200_000, *"yyyyy"],
    "p_ts_ns.parquet": [1767229261123456789] * 6,
    "unknown-timezone.parquet": [0, 1, 2],
    "utf16.csv": [f"l{i}" for i in range(6)],
}
"""Values of the first carried column by list, times as Arrow stores them; all of these rows are embedded."""

COUNTS = {
    "deep900list.jsonl": (2, 0),
    "list.ndjson": (6, 0),
    "manifest_hdfs_uri_without_hadoop_extra.txt": (0, 2),
    "nl.jsonl": (1, 1),
    "nonutf8-file-uri.txt": (1, 1),
    "p_binary_uri.parquet": (6, 0),
}
"""Numbers of images and of failures of other lists."""


@pytest.fixture
def cases(test_data: pathlib.Path) -> pathlib.Path:
    folder = test_data.parent / "cases" / "uri_lists"
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}")
    return folder


def run(folder: pathlib.Path, *lists: pathlib.Path) -> tuple[pa.Table, int]:
    """Read lists, fetch the images and write them, as a run does; return what is written and how many failed."""
    source = ReadImageUris([str(path) for path in lists])
    fetch = FetchImages().function
    embeddings, failures = [], 0
    for one in source.sources:
        for row in read_source(one, source.carried):
            try:
                if isinstance(row, Failure):
                    failures += 1
                    continue
                image = fetch(row)
                embeddings.append(Embedding(image.source, ImageFacts(1, 1, "PNG", ""), np.zeros(2, np.float32)))
            except ImageError:
                failures += 1
    format_ = ParquetFormat(embeddings_schema(spec(), source.columns), 2)
    format_.write(str(folder / "part"), [format_.encode(embeddings)] if embeddings else [])
    format_.write(str(folder / "shard"), format_.read(str(folder / "part")))
    return pq.read_table(folder / "shard"), failures


def carried(table: pa.Table) -> list[Any]:
    """Return the first carried column, times as numbers."""
    column = table.column(7).combine_chunks()
    return list((column.cast(pa.int64()) if pa.types.is_temporal(column.type) else column).to_pylist())


@pytest.mark.parametrize("name", [*VALUES, *COUNTS])
def test_every_row_of_a_list_has_an_outcome_and_its_values(
    name: str, cases: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """(2a, 2d, 2e) Most of these lists ended the run, or lost rows or values in silence."""
    table, failures = run(tmp_path, cases / name)
    assert (len(table), failures) == COUNTS.get(name, (len(VALUES.get(name, [])), 0))
    if name in VALUES:
        assert carried(table) == VALUES[name]


def test_identifiers_of_two_lists_survive(cases: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """(2c) ...301 and ...303 both became ...328."""
    table, failures = run(tmp_path, cases / "ids_a.parquet", cases / "ids_b.parquet")
    assert failures == 0
    assert carried(table)[:3] == ["900719925474099301", "900719925474099303", "1.0"]
