"""Every column of the output, once: its name, its Arrow type, its kind in a `tf.train.Example`, its value.

The Parquet schema, features.json, and the names that carried columns may not take all follow from here.
"""

import base64
import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from transforms.core.elements import Embedding
from transforms.core.failures import Failure
from transforms.core.spec import EmbeddingSpec

Schema = pa.Schema
"""Names and types of columns, as Arrow knows them."""

CARRIED_PREFIX = "list_"
"""Prefix of a carried column whose name the output needs for itself."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column that this project defines.

    Attributes:
      name: name in every format.
      arrow: type in Parquet.
      dtype: type of its values in a `tf.train.Example`: 'int64', 'float32' or 'string'.
      shape: shape of its values there; None for a sequence of any length.
      value: function, Embedding -> the value.
      nullable: whether Parquet may hold null.
    """

    name: str
    arrow: pa.DataType
    dtype: str
    shape: tuple[int, ...] | None
    value: Callable[[Embedding], Any]
    nullable: bool = True


def embedding_columns(dim: int, dtype: str, top_k: int = 0, vector_type: str = "list") -> tuple[Column, ...]:
    """Return our own columns in their order.

    Args:
      dim: width of the vectors.
      dtype: type of the vectors, 'float32' or 'float16'.
      top_k: number of classes for each image; 0 leaves their columns out.
      vector_type: one of `transforms.collection.choices.VECTOR_TYPES`.
    """
    element = pa.field("element", pa.from_numpy_dtype(np.dtype(dtype)), nullable=False)
    vector = {"list": pa.list_(element), "fixed_size_list": pa.list_(element, dim)}[vector_type]
    own = (
        Column("uri", pa.string(), "string", (), lambda e: e.source.uri, nullable=False),
        Column("embedding", vector, "float32", (dim,), lambda e: e.embedding, nullable=False),
        Column("width", pa.int32(), "int64", (), lambda e: e.facts.width),
        Column("height", pa.int32(), "int64", (), lambda e: e.facts.height),
        Column("format", pa.string(), "string", (), lambda e: e.facts.format),
        Column("sha256", pa.string(), "string", (), lambda e: e.facts.sha256),
        Column("version", pa.string(), "string", (), lambda e: e.source.version, nullable=False),
    )
    top = (
        Column("top_class_ids", pa.list_(pa.string()), "string", None, lambda e: [id_ for id_, _, _ in e.top]),
        Column("top_class_names", pa.list_(pa.string()), "string", None, lambda e: [name for _, name, _ in e.top]),
        Column("top_scores", pa.list_(pa.float32()), "float32", None, lambda e: [score for _, _, score in e.top]),
    )
    return own + top if top_k else own


OF_SOURCE = ("uri", "version")
"""Columns of a failures file that say which input was lost; the others say how."""

FAILURE_COLUMNS = (*OF_SOURCE, *(field.name for field in dataclasses.fields(Failure) if field.name != "source"))
"""Names of a failures file's own columns, in their order."""

OWN_NAMES = frozenset(
    {column.name for column in embedding_columns(1, "float32", top_k=1)} | {*FAILURE_COLUMNS, "version"}
)


def carried_names(names: Iterable[str]) -> dict[str, str]:
    """Return the names of a list's columns in the output.

    A name that the output needs for itself gets CARRIED_PREFIX, more than once if the list has the longer name as well.
    """
    found = dict.fromkeys(names, "")
    for name in found:
        free = name
        while free in OWN_NAMES or (free != name and free in found):
            free = CARRIED_PREFIX + free
        found[name] = free
    return found


def embeddings_schema(
    spec: EmbeddingSpec, carried: pa.Schema | None = None, top_k: int = 0, vector_type: str = "list"
) -> pa.Schema:
    """Return the Arrow schema of a file: our own columns, then the carried ones, and the spec as metadata."""
    own = embedding_columns(spec.dim, spec.embedding_dtype, top_k, vector_type)
    return pa.schema(
        [*(pa.field(column.name, column.arrow, column.nullable) for column in own), *(carried or ())],
        metadata={"embedding_spec": spec.to_json(), "embedding_spec_fingerprint": spec.fingerprint},
    )


def schema_text(carried: pa.Schema) -> str:
    """Return the schema of carried columns as text: Arrow's serialized form in base64."""
    return base64.b64encode(carried.serialize().to_pybytes()).decode()


def schema_of(text: str) -> pa.Schema:
    """Return the schema that `schema_text` made into text; one without columns for ''."""
    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(text))) if text else pa.schema([])


def example_features(spec: EmbeddingSpec, carried: pa.Schema | None = None, top_k: int = 0) -> dict[str, Any]:
    """Return the content of features.json: for each column, the arguments of its `tf.io` feature."""
    own = embedding_columns(spec.dim, spec.embedding_dtype, top_k)
    features = {column.name: _feature(column.dtype, column.shape) for column in own}
    return features | {field.name: _feature(_example_dtype(field.type), None) for field in carried or ()}


def _feature(dtype: str, shape: tuple[int, ...] | None) -> dict[str, Any]:
    if shape is None:
        return {"kind": "FixedLenSequenceFeature", "shape": [], "dtype": dtype, "arguments": {"allow_missing": True}}
    return {"kind": "FixedLenFeature", "shape": list(shape), "dtype": dtype, "arguments": {}}


def _example_dtype(type_: pa.DataType) -> str:
    if _is_list(type_):
        return "string" if _is_list(type_.value_type) else _example_dtype(type_.value_type)
    if pa.types.is_boolean(type_) or (pa.types.is_integer(type_) and type_ != pa.uint64()):
        return "int64"
    return "float32" if pa.types.is_floating(type_) else "string"


def _is_list(type_: pa.DataType) -> bool:
    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_))


_VALUES = {column.name: column.value for column in embedding_columns(1, "float32", top_k=1)}


def value_of(embedding: Embedding, name: str) -> Any:
    """Return the value that an embedding has in a column of our own, or in a carried one."""
    own = _VALUES.get(name)
    return own(embedding) if own else embedding.source.columns.get(name)
