"""TFRecord files are parsed by TensorFlow with what features.json says, and nothing else."""

import dataclasses
import datetime
import decimal
import json
import pathlib
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms.collection.columns import example_features
from transforms.core.elements import Embedding, ImageFacts, ImageUri
from transforms.core.spec import EmbeddingSpec
from transforms.write.tfrecord import TFRecordFormat, WriteEmbeddingsToTFRecord

DIM = 5


def spec(dtype: str = "float32", dim: int = DIM) -> EmbeddingSpec:
    numbers = ("crop", "bicubic", "srgb-3", "float32", False, dtype, dim)
    return EmbeddingSpec("MobileNetV2", {}, "random", "", "avg", None, (224, 224), (224, 224), *numbers)


def vectors(n: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(n, DIM)).astype(np.float32)


def embedding(i: int, vector: np.ndarray, columns: dict[str, Any] | None = None, top: Any = ()) -> Embedding:
    return Embedding(
        ImageUri(f"/{i:03d}.jpg", columns or {}), ImageFacts(640 + i, 480, "PNG", f"{i:064x}"), vector, top
    )


def parsed(files: list[str], features_json: str) -> list[dict[str, Any]]:
    """Read files as the docstring of transforms.write.tfrecord tells users to."""
    features = {
        name: getattr(tf.io, f["kind"])(f["shape"], f["dtype"], **f["arguments"])
        for name, f in json.loads(features_json).items()
    }
    dataset = tf.data.TFRecordDataset(files, "GZIP").map(lambda x: tf.io.parse_single_example(x, features))
    return sorted(dataset.as_numpy_iterator(), key=lambda row: row["uri"])


def round_trip(
    folder: pathlib.Path,
    embeddings: list[Embedding],
    columns: pa.Schema | None = None,
    top_k: int = 0,
    num_shards: int | None = None,
    dtype: str = "float32",
) -> list[dict[str, Any]]:
    with beam.Pipeline(runner=FnApiRunner()) as p:
        write = WriteEmbeddingsToTFRecord(str(folder), "run", spec(dtype), columns, top_k, num_shards)
        _ = p | beam.Create(embeddings) | write
    files = sorted(str(path) for path in folder.glob("tfrecord/*.tfrecord.gz"))
    return parsed(files, json.dumps(example_features(spec(dtype), columns, top_k)))


def column(tmp_path: pathlib.Path, type_: pa.DataType, *values: Any) -> list[list[Any]]:
    """Write one carried column and return what TensorFlow makes of it."""
    embeddings = [embedding(i, vectors(1)[0], {"c": value}) for i, value in enumerate(values)]
    return [row["c"].tolist() for row in round_trip(tmp_path, embeddings, pa.schema([("c", type_)]))]


def test_vectors_and_facts_come_back_from_every_shard(tmp_path: pathlib.Path) -> None:
    matrix = vectors(11)
    rows = round_trip(tmp_path, [embedding(i, v) for i, v in enumerate(matrix)], num_shards=3)
    names = [f"embeddings-run-{i:05d}-of-00003.tfrecord.gz" for i in range(3)]
    assert sorted(path.name for path in (tmp_path / "tfrecord").iterdir()) == names
    np.testing.assert_array_equal(np.stack([row["embedding"] for row in rows]), matrix)
    assert [row["uri"].decode() for row in rows] == [f"/{i:03d}.jpg" for i in range(11)]
    assert [(row["width"], row["height"], row["format"]) for row in rows] == [(640 + i, 480, b"PNG") for i in range(11)]
    assert [row["sha256"].decode() for row in rows] == [f"{i:064x}" for i in range(11)]


def test_float16_vectors_are_float32_in_an_example(tmp_path: pathlib.Path) -> None:
    matrix = vectors(2).astype(np.float16)
    rows = round_trip(tmp_path, [embedding(i, v) for i, v in enumerate(matrix)], dtype="float16")
    np.testing.assert_array_equal(np.stack([row["embedding"] for row in rows]), matrix.astype(np.float32))


def test_integers_are_sequences_and_null_is_empty(tmp_path: pathlib.Path) -> None:
    assert column(tmp_path, pa.int64(), 2**53 + 1, None, -1) == [[2**53 + 1], [], [-1]]


def test_booleans_are_integers(tmp_path: pathlib.Path) -> None:
    assert column(tmp_path, pa.bool_(), True, False, None) == [[1], [0], []]


def test_numbers_are_float32(tmp_path: pathlib.Path) -> None:
    assert column(tmp_path, pa.float64(), 0.5, None) == [[0.5], []]


def test_strings_are_bytes_and_the_empty_one_is_not_null(tmp_path: pathlib.Path) -> None:
    assert column(tmp_path, pa.string(), "Käse 🧀", "", None) == [["Käse 🧀".encode()], [b""], []]


def test_binary_columns_are_kept_as_they_are(tmp_path: pathlib.Path) -> None:
    assert column(tmp_path, pa.binary(), b"\xff\x00") == [[b"\xff\x00"]]


def test_times_are_iso_8601(tmp_path: pathlib.Path) -> None:
    noon = datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.UTC)
    assert column(tmp_path, pa.timestamp("us", "UTC"), noon, None) == [[b"2024-02-29T12:30:00+00:00"], []]


def test_dates_are_iso_8601(tmp_path: pathlib.Path) -> None:
    assert column(tmp_path, pa.date32(), datetime.date(2024, 2, 29)) == [[b"2024-02-29"]]


def test_numbers_too_large_for_an_example_are_text(tmp_path: pathlib.Path) -> None:
    assert column(tmp_path, pa.uint64(), 2**64 - 1) == [[b"18446744073709551615"]]


def test_decimals_are_text_without_quotes(tmp_path: pathlib.Path) -> None:
    assert column(tmp_path, pa.decimal128(6, 2), decimal.Decimal("12.50")) == [[b"12.50"]]


def test_lists_are_sequences_of_their_values(tmp_path: pathlib.Path) -> None:
    assert column(tmp_path, pa.list_(pa.int64()), [3, 1, 2], [], None) == [[3, 1, 2], [], []]


def test_lists_of_strings_are_sequences_of_bytes(tmp_path: pathlib.Path) -> None:
    assert column(tmp_path, pa.list_(pa.string()), ["a", "ß"], ["c"]) == [[b"a", "ß".encode()], [b"c"]]


def test_lists_of_fixed_size_are_sequences_too(tmp_path: pathlib.Path) -> None:
    assert column(tmp_path, pa.list_(pa.float32(), 2), [0.5, 1.5]) == [[0.5, 1.5]]


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [(pa.int64(), [1, None, 3], [1, 3]), (pa.string(), [None, "a"], [b"a"]), (pa.float64(), [None], [])],
)
def test_nulls_in_lists_are_left_out(
    tmp_path: pathlib.Path, type_: pa.DataType, value: list[Any], expected: Any
) -> None:
    assert column(tmp_path, pa.list_(type_), value) == [expected]


def test_inner_lists_are_json(tmp_path: pathlib.Path) -> None:
    assert column(tmp_path, pa.list_(pa.list_(pa.int64())), [[1, 2], [3]]) == [[b"[1, 2]", b"[3]"]]


def test_structs_are_json(tmp_path: pathlib.Path) -> None:
    (((text,),),) = [column(tmp_path, pa.struct([("x", pa.int64()), ("ö", pa.string())]), {"x": 1, "ö": "ü"})]
    assert json.loads(text) == {"x": 1, "ö": "ü"}


def test_top_classes_are_sequences_best_first(tmp_path: pathlib.Path) -> None:
    top = (("n1", "tabby", 0.75), ("n2", "tiger cat", 0.25))
    (row,) = round_trip(tmp_path, [embedding(0, vectors(1)[0], top=top)], top_k=2)
    assert row["top_class_ids"].tolist() == [b"n1", b"n2"]
    assert row["top_class_names"].tolist() == [b"tabby", b"tiger cat"]
    assert row["top_scores"].tolist() == [0.75, 0.25]


def test_files_are_gzip(tmp_path: pathlib.Path) -> None:
    round_trip(tmp_path, [embedding(0, vectors(1)[0])])
    (path,) = tmp_path.glob("tfrecord/*.tfrecord.gz")
    assert path.read_bytes()[:2] == b"\x1f\x8b"


def test_no_embeddings_make_no_file(tmp_path: pathlib.Path) -> None:
    with beam.Pipeline(runner=FnApiRunner()) as p:
        _ = p | beam.Create([]) | WriteEmbeddingsToTFRecord(str(tmp_path), "run", spec(), num_shards=4)
    assert list(tmp_path.rglob("*.gz")) == []


@pytest.mark.parametrize(("dim", "rows"), [(1, 4096), (100352, 20), (10**8, 1)])
def test_parts_stay_below_8_mib_of_vectors(dim: int, rows: int) -> None:
    assert WriteEmbeddingsToTFRecord("out", "run", spec(dim=dim)).format().rows_per_part == rows


def test_rows_of_an_earlier_schema_take_the_present_one(tmp_path: pathlib.Path) -> None:
    old = pa.schema(
        [("whole", pa.int64()), ("mixed", pa.int64()), ("parts", pa.list_(pa.float32())), ("gone", pa.string())]
    )
    now = pa.schema(
        [
            ("new", pa.int64()),
            ("mixed", pa.string()),
            ("whole", pa.float64()),
            ("parts", pa.string()),
            ("gone", pa.string()),
        ]
    )
    matrix, before = vectors(2), TFRecordFormat(example_features(spec(), old), 3)
    rows = [
        embedding(0, matrix[0], {"whole": 1, "mixed": 2, "parts": [0.5, 1.5]}),
        embedding(1, matrix[1], {"gone": "x"}),
    ]
    before.write(str(tmp_path / "old"), [before.encode(rows)])
    after = TFRecordFormat(example_features(spec(), now), 3, refits=True)
    after.write(str(tmp_path / "new"), after.read(str(tmp_path / "old")))
    found = parsed([str(tmp_path / "new")], json.dumps(after.features))
    assert [{name: row[name].tolist() for name in now.names} for row in found] == [
        {"new": [], "mixed": [b"2"], "whole": [1.0], "parts": [b"0.5", b"1.5"], "gone": []},
        {"new": [], "mixed": [], "whole": [], "parts": [], "gone": [b"x"]},
    ]
    np.testing.assert_array_equal(np.stack([row["embedding"] for row in found]), matrix)
    assert [row["uri"] for row in found] == [b"/000.jpg", b"/001.jpg"]


def test_records_of_the_present_schema_are_copied_as_they_are(tmp_path: pathlib.Path) -> None:
    format_ = TFRecordFormat(example_features(spec(), pa.schema([("label", pa.int64())])), 3)
    records = format_.encode([embedding(i, vector, {"label": i}) for i, vector in enumerate(vectors(3))])
    format_.write(str(tmp_path / "x"), [records])
    assert [record for chunk in format_.read(str(tmp_path / "x")) for record in chunk] == records
    refitted = dataclasses.replace(format_, refits=True)
    examples = [tf.train.Example.FromString(record) for chunk in refitted.read(str(tmp_path / "x")) for record in chunk]
    assert examples == list(map(tf.train.Example.FromString, records))


def test_keys_and_embeddings_are_those_that_were_written(tmp_path: pathlib.Path) -> None:
    carried = pa.schema([("label", pa.int64()), ("box", pa.struct([("x", pa.int64())])), ("part", pa.float64())])
    format_ = TFRecordFormat(example_features(spec(), carried, top_k=2), 3)
    top = (("n1", "tabby", 0.75), ("n2", "tiger cat", 0.25))
    columns: list[dict[str, Any]] = [{"label": 2**53 + 1, "box": {"x": 1}, "part": 0.1}, {}, {"label": 0}]
    rows = [embedding(i, v, row, top) for i, (v, row) in enumerate(zip(vectors(3), columns, strict=True))]
    path = str(tmp_path / "x")
    format_.write(path, [format_.encode(rows)])
    keys = list(format_.keys(path))
    assert [uri for one in keys for uri in one.uris] == [row.source.uri for row in rows]
    assert [version for one in keys for version in one.versions] == ["", "", ""]
    assert [sha256 for one in keys for sha256 in one.sha256] == [row.facts.sha256 for row in rows]
    assert [carried for one in keys for carried in one.carried] == [format_.comparable(one) for one in columns]
    assert len({format_.comparable(one) for one in columns}) == 3
    found = list(format_.embeddings(path, {rows[2].source.uri: rows[0].source}))
    assert [(one.source, one.facts, one.top) for one in found] == [(rows[0].source, rows[2].facts, top)]
    np.testing.assert_array_equal(found[0].embedding, rows[2].embedding)


@pytest.mark.parametrize("content", [b"no gzip at all", None], ids=["broken", "gone"])
def test_a_file_that_cannot_be_read_is_an_os_error(content: bytes | None, tmp_path: pathlib.Path) -> None:
    """TensorFlow's own errors are of no type that anyone else catches."""
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(OSError, match=f"{tmp_path}/x cannot be read: "):
        list(TFRecordFormat(example_features(spec()), 3).read(str(tmp_path / "x")))
