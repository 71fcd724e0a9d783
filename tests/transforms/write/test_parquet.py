"""Parquet files have the schema that is promised, and other readers read the vectors that were put in."""

import datetime
import itertools
import json
import pathlib
from typing import Any

import apache_beam as beam
import duckdb
import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms.collection.choices import VECTOR_TYPES
from transforms.collection.columns import embeddings_schema
from transforms.core.elements import Embedding, ImageFacts, ImageUri
from transforms.core.spec import EmbeddingSpec
from transforms.write.parquet import ParquetFormat, WriteEmbeddingsToParquet, to_table

DIM = 8
NOON = datetime.datetime(2024, 2, 29, 12, 0, 0, 123456, datetime.UTC)
COLUMNS = pa.schema(
    [
        ("label", pa.int64()),
        ("taken", pa.timestamp("us", "UTC")),
        ("caption", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("box", pa.struct([("x", pa.float64()), ("y", pa.float64())])),
    ]
)
ROWS: list[dict[str, Any]] = [
    {"label": 2**53 + 1, "taken": NOON, "caption": "Käse 🧀", "tags": ["a", "b"], "box": {"x": 0.5, "y": 1.5}},
    {"label": None, "taken": None, "caption": None, "tags": None, "box": None},
    {"label": -1, "taken": NOON, "caption": "", "tags": [], "box": {"x": None, "y": 2.0}},
]


def spec(dim: int = DIM, dtype: str = "float32") -> EmbeddingSpec:
    sizes = ((224, 224), (224, 224))
    numbers = ("crop", "bicubic", "srgb-3", "float32", False, dtype, dim)
    return EmbeddingSpec("MobileNetV2", {"alpha": 0.5}, "random", "", "avg", None, *sizes, *numbers)


def vectors(n: int, dim: int = DIM) -> np.ndarray:
    return np.random.default_rng(7).normal(size=(n, dim)).astype(np.float32)


def embedding(i: int, vector: np.ndarray, columns: dict[str, Any] | None = None, top: Any = ()) -> Embedding:
    return Embedding(
        ImageUri(f"/{i:03d}.jpg", columns or {}), ImageFacts(640 + i, 480, "JPEG", f"{i:064x}"), vector, top
    )


def write(folder: pathlib.Path, embeddings: list[Embedding], spec_: EmbeddingSpec, **arguments: Any) -> list[str]:
    with beam.Pipeline(runner=FnApiRunner()) as p:
        _ = p | beam.Create(embeddings) | WriteEmbeddingsToParquet(str(folder), "run", spec_, **arguments)
    return sorted(str(path) for path in folder.glob("parquet/*.parquet"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, np.ndarray]:
    """The folder of three shards of 50 embeddings, and the vectors in the order of their uris."""
    folder, matrix = tmp_path_factory.mktemp("written"), vectors(50)
    write(folder, [embedding(i, v) for i, v in enumerate(matrix)], spec(), num_shards=3)
    return folder / "parquet", matrix


def test_vectors_are_lists_of_float32_that_are_never_null(written: tuple[pathlib.Path, np.ndarray]) -> None:
    schema = pq.read_schema(written[0] / "embeddings-run-00000-of-00003.parquet")
    assert schema.names == ["uri", "embedding", "width", "height", "format", "sha256", "version"]
    assert schema.field("embedding").type.value_type == pa.float32()
    assert not schema.field("embedding").nullable
    assert not schema.field("embedding").type.value_field.nullable
    assert not schema.field("version").nullable
    assert [str(schema.field(name).type) for name in ("uri", "width", "height", "format", "sha256", "version")] == [
        "string",
        "int32",
        "int32",
        "string",
        "string",
        "string",
    ]


def test_the_metadata_says_how_the_vectors_were_made(written: tuple[pathlib.Path, np.ndarray]) -> None:
    for path in written[0].glob("*.parquet"):
        metadata = pq.read_metadata(path).metadata
        assert json.loads(metadata[b"embedding_spec"])["backbone_kwargs"] == {"alpha": 0.5}
        assert metadata[b"embedding_spec_fingerprint"].decode() == spec().fingerprint


def test_shards_are_as_many_and_as_even_as_wanted(written: tuple[pathlib.Path, np.ndarray]) -> None:
    names = [f"embeddings-run-{i:05d}-of-00003.parquet" for i in range(3)]
    assert sorted(path.name for path in written[0].glob("*.parquet")) == names
    assert sorted(pq.read_metadata(written[0] / name).num_rows for name in names) == [16, 17, 17]


def test_the_codec_is_zstd_everywhere(written: tuple[pathlib.Path, np.ndarray]) -> None:
    group = pq.read_metadata(written[0] / "embeddings-run-00000-of-00003.parquet").row_group(0)
    assert {group.column(i).compression for i in range(group.num_columns)} == {"ZSTD"}


def test_pandas_reads_the_same_vectors(written: tuple[pathlib.Path, np.ndarray]) -> None:
    folder, matrix = written
    frame = pandas.read_parquet(folder).sort_values("uri")
    np.testing.assert_array_equal(np.stack(list(frame["embedding"])), matrix)
    assert list(frame["uri"]) == [f"/{i:03d}.jpg" for i in range(50)]
    assert list(frame["width"]) == [640 + i for i in range(50)]


def test_polars_reads_the_same_vectors(written: tuple[pathlib.Path, np.ndarray]) -> None:
    folder, matrix = written
    frame = polars.read_parquet(folder / "*.parquet").sort("uri")
    assert frame.schema["embedding"] == polars.List(polars.Float32)
    np.testing.assert_array_equal(np.array(frame["embedding"].to_list(), np.float32), matrix)


def test_duckdb_reads_the_same_vectors(written: tuple[pathlib.Path, np.ndarray]) -> None:
    folder, matrix = written
    rows = duckdb.sql(f"SELECT len(embedding), embedding FROM '{folder}/*.parquet' ORDER BY uri").fetchall()
    assert {length for length, _ in rows} == {DIM}
    np.testing.assert_array_equal(np.array([vector for _, vector in rows], np.float32), matrix)


def test_duckdb_computes_similarities(written: tuple[pathlib.Path, np.ndarray]) -> None:
    folder, matrix = written
    query = f"""SELECT list_cosine_similarity(a.embedding, b.embedding)
        FROM '{folder}/*.parquet' a, '{folder}/*.parquet' b WHERE a.uri = '/000.jpg' ORDER BY b.uri"""
    found = np.array(duckdb.sql(query).fetchall())[:, 0]
    wide = matrix.astype(np.float64)
    expected = wide @ wide[0] / np.linalg.norm(wide, axis=1) / np.linalg.norm(wide[0])
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, np.ndarray]:
    """A file of 50 embeddings whose type tells their width, and the vectors."""
    folder, matrix = tmp_path_factory.mktemp("fixed"), vectors(50)
    rows = [embedding(i, v) for i, v in enumerate(matrix)]
    (path,) = write(folder, rows, spec(), num_shards=1, vector_type="fixed_size_list")
    return path, matrix


def test_arrow_and_polars_know_the_width_of_fixed_vectors(fixed: tuple[str, np.ndarray]) -> None:
    path, matrix = fixed
    type_ = pq.read_schema(path).field("embedding").type
    assert (type_.list_size, type_.value_type) == (DIM, pa.float32())
    frame = polars.read_parquet(path).sort("uri")
    assert frame.schema["embedding"] == polars.Array(polars.Float32, DIM)
    np.testing.assert_array_equal(frame["embedding"].to_numpy(), matrix)


def test_readers_that_know_only_lists_read_fixed_vectors_too(fixed: tuple[str, np.ndarray]) -> None:
    path, matrix = fixed
    frame = pandas.read_parquet(path).sort_values("uri")
    np.testing.assert_array_equal(np.stack(list(frame["embedding"])), matrix)
    rows = duckdb.sql(f"SELECT embedding FROM '{path}' ORDER BY uri").fetchall()
    np.testing.assert_array_equal(np.array([vector for (vector,) in rows], np.float32), matrix)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(("old", "new"), itertools.permutations(VECTOR_TYPES), ids=" becomes ".join)
def test_vectors_of_one_type_are_read_as_the_other(old: str, new: str, dtype: str, tmp_path: pathlib.Path) -> None:
    matrix, spec_ = vectors(5).astype(dtype), spec(dtype=dtype)
    before, now = (ParquetFormat(embeddings_schema(spec_, vector_type=one), 2) for one in (old, new))
    rows = [embedding(i, v) for i, v in enumerate(matrix)]
    before.write(str(tmp_path / "old"), [before.encode(rows)])
    now.write(str(tmp_path / "new"), now.read(str(tmp_path / "old")))
    assert pq.read_schema(tmp_path / "new").equals(now.schema)
    for path in (tmp_path / "old", tmp_path / "new"):
        found = list(now.embeddings(str(path), {row.source.uri: row.source for row in rows}))
        np.testing.assert_array_equal(np.stack([one.embedding for one in found]), matrix)
        assert {one.embedding.dtype for one in found} == {np.dtype(dtype)}


def test_carried_columns_keep_types_values_and_nulls(tmp_path: pathlib.Path) -> None:
    embeddings = [embedding(i, v, row) for i, (v, row) in enumerate(zip(vectors(3), ROWS, strict=True))]
    (path,) = write(tmp_path, embeddings, spec(), columns=COLUMNS)
    table = pq.read_table(path).sort_by("uri").select(COLUMNS.names)
    assert table.schema.types == COLUMNS.types
    assert table.to_pylist() == ROWS


def test_other_readers_see_the_carried_columns(tmp_path: pathlib.Path) -> None:
    embeddings = [embedding(i, v, row) for i, (v, row) in enumerate(zip(vectors(3), ROWS, strict=True))]
    (path,) = write(tmp_path, embeddings, spec(), columns=COLUMNS)
    assert polars.read_parquet(path).sort("uri").select(COLUMNS.names).to_dicts() == ROWS
    found = duckdb.sql(f"SELECT label, caption, tags, box FROM '{path}' ORDER BY uri").fetchall()
    assert found == [(row["label"], row["caption"], row["tags"], row["box"]) for row in ROWS]
    assert pandas.read_parquet(path).sort_values("uri")["label"].isna().tolist() == [False, True, False]


def test_carried_columns_that_a_row_lacks_are_null(tmp_path: pathlib.Path) -> None:
    (path,) = write(tmp_path, [embedding(0, vectors(1)[0])], spec(), columns=COLUMNS)
    assert pq.read_table(path).select(COLUMNS.names).to_pylist() == [dict.fromkeys(COLUMNS.names)]


def test_top_classes_are_lists_best_first(tmp_path: pathlib.Path) -> None:
    top = (("n1", "tabby", 0.75), ("n2", "tiger cat", 0.25))
    (path,) = write(tmp_path, [embedding(0, vectors(1)[0], top=top)], spec(), top_k=2)
    row = pq.read_table(path, columns=["top_class_ids", "top_class_names", "top_scores"]).to_pylist()
    assert row == [
        {"top_class_ids": ["n1", "n2"], "top_class_names": ["tabby", "tiger cat"], "top_scores": [0.75, 0.25]}
    ]
    assert pq.read_schema(path).field("top_scores").type.value_type == pa.float32()


def test_float16_vectors_are_stored_as_such(tmp_path: pathlib.Path) -> None:
    matrix = vectors(4).astype(np.float16)
    paths = write(tmp_path, [embedding(i, v) for i, v in enumerate(matrix)], spec(dtype="float16"))
    assert pq.read_schema(paths[0]).field("embedding").type.value_type == pa.float16()
    frame = pandas.read_parquet(paths[0]).sort_values("uri")
    np.testing.assert_array_equal(np.stack(list(frame["embedding"])), matrix)
    assert polars.read_parquet(paths[0]).height == 4


def test_nan_vectors_pass_unchanged(tmp_path: pathlib.Path) -> None:
    (path,) = write(tmp_path, [embedding(0, np.array([np.nan, np.inf, -0.0, 1], np.float32))], spec(4))
    np.testing.assert_array_equal(pandas.read_parquet(path)["embedding"][0], [np.nan, np.inf, -0.0, 1])


def test_small_chunks_are_merged_to_one_row_group(tmp_path: pathlib.Path) -> None:
    schema = embeddings_schema(spec())
    chunks = [to_table([embedding(i, v)], schema) for i, v in enumerate(vectors(30))]
    ParquetFormat(schema, 100).write(str(tmp_path / "x.parquet"), chunks)
    metadata = pq.read_metadata(tmp_path / "x.parquet")
    assert (metadata.num_row_groups, metadata.num_rows) == (1, 30)


def test_row_groups_end_at_16_mib(tmp_path: pathlib.Path) -> None:
    schema, dim = embeddings_schema(spec(1 << 20)), 1 << 20
    chunks = (to_table([embedding(i, np.zeros(dim, np.float32))], schema) for i in range(20))
    ParquetFormat(schema, 100).write(str(tmp_path / "x.parquet"), chunks)
    metadata = pq.read_metadata(tmp_path / "x.parquet")
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [4, 4, 4, 4, 4]


@pytest.mark.parametrize(("dim", "rows"), [(1, 4096), (1280, 1638), (4096, 512), (100352, 20), (10**8, 1)])
def test_parts_stay_below_8_mib_of_vectors(dim: int, rows: int) -> None:
    assert WriteEmbeddingsToParquet("out", "run", spec(dim)).format().rows_per_part == rows


def test_slices_of_a_file_read_back_what_was_put_in(tmp_path: pathlib.Path) -> None:
    matrix, format_ = vectors(9), ParquetFormat(embeddings_schema(spec(), COLUMNS), 100)
    format_.write(str(tmp_path / "x"), [format_.encode([embedding(i, v, ROWS[i % 3]) for i, v in enumerate(matrix)])])
    chunks = [chunk[4:7] for chunk in format_.read(str(tmp_path / "x"))]
    format_.write(str(tmp_path / "y"), chunks)
    table = pq.read_table(tmp_path / "y")
    np.testing.assert_array_equal(np.array(table["embedding"].to_pylist(), np.float32), matrix[4:7])
    assert table.select(COLUMNS.names).to_pylist() == [ROWS[1], ROWS[2], ROWS[0]]


def test_no_embeddings_make_no_file(tmp_path: pathlib.Path) -> None:
    assert write(tmp_path, [], spec(), num_shards=4) == []


def standing_file(folder: pathlib.Path, columns: pa.Schema, rows: list[dict[str, Any]]) -> tuple[str, np.ndarray]:
    """Write a file of rows with carried columns, as an earlier run did; return its path and its vectors."""
    matrix, format_ = vectors(len(rows)), ParquetFormat(embeddings_schema(spec(), columns), 100)
    path = str(folder / "old.parquet")
    format_.write(path, [format_.encode([embedding(i, matrix[i], row) for i, row in enumerate(rows)])])
    return path, matrix


def test_rows_of_an_earlier_schema_take_the_present_one(tmp_path: pathlib.Path) -> None:
    old = pa.schema([("whole", pa.int64()), ("mixed", pa.int64()), ("gone", pa.string())])
    path, matrix = standing_file(tmp_path, old, [{"whole": 1, "mixed": 2}, {"gone": "x"}])
    now = pa.schema(
        [("new", pa.list_(pa.string())), ("mixed", pa.string()), ("whole", pa.float64()), ("gone", pa.string())]
    )
    format_ = ParquetFormat(embeddings_schema(spec(), now), 1)
    format_.write(str(tmp_path / "new.parquet"), format_.read(path))
    table = pq.read_table(tmp_path / "new.parquet")
    assert table.schema.equals(format_.schema)
    assert table.select(now.names).to_pylist() == [
        {"new": None, "mixed": "2", "whole": 1.0, "gone": None},
        {"new": None, "mixed": None, "whole": None, "gone": "x"},
    ]
    np.testing.assert_array_equal(np.array(table["embedding"].to_pylist(), np.float32), matrix)


def test_keys_are_in_the_present_schema_too(tmp_path: pathlib.Path) -> None:
    """So that a row is known to be the same whatever the schema was when it was written."""
    path, _ = standing_file(tmp_path, pa.schema([("mixed", pa.int64())]), [{"mixed": 2}, {}])
    now = ParquetFormat(embeddings_schema(spec(), pa.schema([("mixed", pa.string()), ("new", pa.int8())])), 1)
    (keys,) = now.keys(path)
    assert (keys.uris, keys.versions) == (["/000.jpg", "/001.jpg"], ["", ""])
    assert keys.sha256 == [f"{i:064x}" for i in range(2)]
    assert keys.carried == [("2", None), (None, None)] == [now.comparable({"mixed": "2"}), now.comparable({})]


def test_keys_of_a_file_without_carried_columns_are_empty(tmp_path: pathlib.Path) -> None:
    path, _ = standing_file(tmp_path, pa.schema([]), [{}, {}])
    format_ = ParquetFormat(embeddings_schema(spec()), 1)
    (keys,) = format_.keys(path)
    assert keys.carried == [(), ()] == [format_.comparable({"label": 1})] * 2


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_rows_are_read_back_as_the_embeddings_that_they_were(dtype: str, tmp_path: pathlib.Path) -> None:
    matrix = vectors(5).astype(dtype)
    top = (("n1", "tabby", 0.75), ("n2", "tiger cat", 0.25))
    format_ = ParquetFormat(embeddings_schema(spec(dtype=dtype), None, 2), 2)
    rows = [embedding(i, vector, top=top) for i, vector in enumerate(matrix)]
    format_.write(str(tmp_path / "x"), [format_.encode(rows)])
    wanted = {row.source.uri: row.source for row in (*rows[1::2], embedding(9, matrix[0]))}
    found = list(format_.embeddings(str(tmp_path / "x"), wanted))
    assert [(one.source, one.facts, one.top) for one in found] == [(r.source, r.facts, r.top) for r in rows[1::2]]
    np.testing.assert_array_equal(np.stack([one.embedding for one in found]), matrix[1::2])
    assert {one.embedding.dtype for one in found} == {np.dtype(dtype)}


def test_chosen_rows_of_a_chunk_and_the_uris_of_a_file(tmp_path: pathlib.Path) -> None:
    format_ = ParquetFormat(embeddings_schema(spec()), 2)
    chunk = format_.encode([embedding(i, vector) for i, vector in enumerate(vectors(4))])
    assert format_.uris(format_.select(chunk, np.array([True, False, False, True]))) == ["/000.jpg", "/003.jpg"]
    assert len(format_.select(chunk, np.zeros(4, bool))) == 0
    format_.write(str(tmp_path / "x"), [chunk])
    assert [uri for uris in format_.uris_in(str(tmp_path / "x")) for uri in uris] == [f"/{i:03d}.jpg" for i in range(4)]
