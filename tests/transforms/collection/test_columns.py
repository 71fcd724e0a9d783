"""Columns are declared once: the schema, features.json and the reserved names follow from the declaration."""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_backbone import spec
from transforms.collection.choices import VECTOR_TYPES
from transforms.collection.columns import (
    FAILURE_COLUMNS,
    OWN_NAMES,
    carried_names,
    embedding_columns,
    embeddings_schema,
    example_features,
    schema_of,
    schema_text,
    value_of,
)
from transforms.core.elements import Embedding, ImageFacts, ImageUri
from transforms.core.failures import Failure

PLAIN = ["uri", "embedding", "width", "height", "format", "sha256", "version"]
TOP = ["top_class_ids", "top_class_names", "top_scores"]
ROW = Embedding(
    ImageUri("/a.jpg", {"label": 7, "list_uri": "b.jpg"}, "generation:17"),
    ImageFacts(640, 480, "JPEG", "ab"),
    np.array([1, 2, 3], np.float32),
    (("n1", "tabby", 0.75), ("n2", "tiger cat", 0.25)),
)


SPEC = spec(dim=3)


def feature(dtype: str, *shape: int) -> dict[str, Any]:
    return {"kind": "FixedLenFeature", "shape": list(shape), "dtype": dtype, "arguments": {}}


def sequence(dtype: str) -> dict[str, Any]:
    return {"kind": "FixedLenSequenceFeature", "shape": [], "dtype": dtype, "arguments": {"allow_missing": True}}


@pytest.mark.parametrize(("top_k", "names"), [(0, PLAIN), (5, PLAIN + TOP)])
def test_each_format_has_the_columns_that_are_declared_in_their_order(top_k: int, names: list[str]) -> None:
    assert [column.name for column in embedding_columns(3, "float32", top_k)] == names
    assert embeddings_schema(SPEC, None, top_k).names == names
    assert list(example_features(SPEC, None, top_k)) == names


def test_the_schema_has_the_declared_types_and_the_spec() -> None:
    schema = embeddings_schema(SPEC, top_k=1)
    assert {field.name: str(field.type) for field in schema} == {
        "uri": "string",
        "embedding": "list<element: float not null>",
        "width": "int32",
        "height": "int32",
        "format": "string",
        "sha256": "string",
        "version": "string",
        "top_class_ids": "list<item: string>",
        "top_class_names": "list<item: string>",
        "top_scores": "list<item: float>",
    }
    assert [field.name for field in schema if not field.nullable] == ["uri", "embedding", "version"]
    assert schema.metadata == {
        b"embedding_spec": SPEC.to_json().encode(),
        b"embedding_spec_fingerprint": SPEC.fingerprint.encode(),
    }
    for column in embedding_columns(3, "float32", top_k=1):
        assert schema.field(column.name) == pa.field(column.name, column.arrow, column.nullable)


def test_the_features_have_the_declared_shapes_and_kinds() -> None:
    assert example_features(SPEC, top_k=1) == {
        "uri": feature("string"),
        "embedding": feature("float32", 3),
        "width": feature("int64"),
        "height": feature("int64"),
        "format": feature("string"),
        "sha256": feature("string"),
        "version": feature("string"),
        "top_class_ids": sequence("string"),
        "top_class_names": sequence("string"),
        "top_scores": sequence("float32"),
    }


def test_vectors_of_float16_are_such_in_parquet_and_float32_in_an_example() -> None:
    assert embeddings_schema(spec(dim=3, embedding_dtype="float16")).field("embedding").type.value_type == pa.float16()
    assert example_features(spec(dim=3, embedding_dtype="float16"))["embedding"] == feature("float32", 3)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_width_of_a_vector_may_be_part_of_its_type(dtype: str) -> None:
    spec_ = spec(dim=3, embedding_dtype=dtype)
    plain, fixed = (embeddings_schema(spec_, vector_type=vector_type) for vector_type in VECTOR_TYPES)
    assert fixed.field("embedding").type.list_size == 3
    for schema in (plain, fixed):
        assert str(schema.field("embedding").type.value_type) == {"float32": "float", "float16": "halffloat"}[dtype]
        assert not schema.field("embedding").type.value_field.nullable
    assert fixed.remove(1).equals(plain.remove(1), check_metadata=True)


def test_carried_columns_come_after_our_own_with_their_types() -> None:
    carried = pa.schema([("label", pa.int16()), ("box", pa.struct([("x", pa.float64())]))])
    assert embeddings_schema(SPEC, carried, top_k=1).names == [*PLAIN, *TOP, "label", "box"]
    assert list(embeddings_schema(SPEC, carried))[-2:] == list(carried)
    assert list(example_features(SPEC, carried, top_k=1)) == [*PLAIN, *TOP, "label", "box"]


@pytest.mark.parametrize(
    ("type_", "dtype"),
    [
        (pa.bool_(), "int64"),
        (pa.int8(), "int64"),
        (pa.uint32(), "int64"),
        (pa.int64(), "int64"),
        (pa.uint64(), "string"),
        (pa.float16(), "float32"),
        (pa.float64(), "float32"),
        (pa.string(), "string"),
        (pa.binary(), "string"),
        (pa.timestamp("us", "UTC"), "string"),
        (pa.decimal128(6, 2), "string"),
        (pa.struct([("x", pa.int64())]), "string"),
        (pa.list_(pa.int64()), "int64"),
        (pa.large_list(pa.float32()), "float32"),
        (pa.list_(pa.float32(), 2), "float32"),
        (pa.list_(pa.string()), "string"),
        (pa.list_(pa.list_(pa.int64())), "string"),
        (pa.null(), "string"),
    ],
    ids=str,
)
def test_a_carried_column_is_a_sequence_of_the_kind_that_holds_its_values(type_: pa.DataType, dtype: str) -> None:
    assert example_features(SPEC, pa.schema([("c", type_)]))["c"] == sequence(dtype)


def test_the_own_names_are_all_that_an_output_file_may_hold() -> None:
    failures = ("uri", "version", "stage", "reason", "kind", "error", "message", "attempts")
    assert failures == FAILURE_COLUMNS
    assert {*PLAIN, *TOP, *failures} == OWN_NAMES
    lost = {field.name for field in dataclasses.fields(Failure)} - {"source"}
    assert set(FAILURE_COLUMNS) == lost | {"uri", "version"}


@pytest.mark.parametrize("name", [*PLAIN, *TOP, "stage", "reason", "kind", "error", "message", "attempts"])
def test_a_carried_column_that_clashes_gets_a_prefix(name: str) -> None:
    assert carried_names([name, name.upper()]) == {name: f"list_{name}", name.upper(): name.upper()}


def test_no_two_columns_get_one_name() -> None:
    """(2d) `width` beside `list_width`: one of the two would be lost."""
    names = ["list_width", "width", "list_list_width", "list_uri", "uri"]
    found = carried_names(names)
    assert found == {
        "list_width": "list_width",
        "width": "list_list_list_width",
        "list_list_width": "list_list_width",
        "list_uri": "list_uri",
        "uri": "list_list_uri",
    }
    assert list(found) == names


@pytest.mark.parametrize("name", ["label", "list_uri", "Uri", "", "source"])
def test_a_carried_column_that_does_not_clash_keeps_its_name(name: str) -> None:
    assert carried_names([name]) == {name: name}


def test_a_schema_with_all_clashing_columns_has_no_name_twice() -> None:
    carried = pa.schema([(name, pa.string()) for name in carried_names(OWN_NAMES).values()])
    names = embeddings_schema(SPEC, carried, top_k=1).names
    assert len(names) == len(set(names)) == len(PLAIN + TOP) + len(OWN_NAMES)


def test_the_value_of_a_column_is_that_of_the_embedding_or_of_its_uri() -> None:
    values = {name: value_of(ROW, name) for name in (*PLAIN, *TOP, "label", "list_uri", "none")}
    assert values.pop("embedding") is ROW.embedding
    assert values == {
        "uri": "/a.jpg",
        "width": 640,
        "height": 480,
        "format": "JPEG",
        "sha256": "ab",
        "version": "generation:17",
        "top_class_ids": ["n1", "n2"],
        "top_class_names": ["tabby", "tiger cat"],
        "top_scores": [0.75, 0.25],
        "label": 7,
        "list_uri": "b.jpg",
        "none": None,
    }


def test_every_declared_column_has_a_value_of_its_declared_type() -> None:
    for column in embedding_columns(3, "float32", top_k=2):
        assert pa.array([column.value(ROW)], column.arrow).null_count == 0, column.name


LEAVES = st.sampled_from(
    [
        *(pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.bool_(), pa.string(), pa.large_binary(), pa.date32()),
        *(pa.timestamp("ns"), pa.timestamp("us", "Europe/Berlin"), pa.duration("ms"), pa.time64("ns"), pa.binary(3)),
        *(pa.decimal128(6, 2), pa.decimal256(60, 2)),
    ]
)
NAMES = st.text(st.characters(codec="utf-8"))


def nested(inner: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    fields = st.dictionaries(NAMES, inner, min_size=1).map(lambda found: pa.struct(list(found.items())))
    return (
        inner.map(pa.list_) | inner.map(pa.large_list) | fields | inner.map(lambda type_: pa.map_(pa.string(), type_))
    )


@given(st.dictionaries(NAMES, st.recursive(LEAVES, nested, max_leaves=4)))
def test_the_schema_of_carried_columns_comes_back_from_its_text(types: dict[str, pa.DataType]) -> None:
    schema = pa.schema(list(types.items()))
    text = schema_text(schema)
    assert text.isascii()
    assert schema_of(text) == schema
    assert schema_of(text).names == list(types)


def test_no_text_is_a_schema_without_columns() -> None:
    """As the manifest of a run that carries none has it."""
    assert schema_of("") == schema_of(schema_text(pa.schema([]))) == pa.schema([])
