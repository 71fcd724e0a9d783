"""Values of a uri list reach every sink as they were: by value from Parquet and JSON lines."""

import datetime
import decimal
import json
import math
import pathlib
import tempfile
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.fake_backbone import spec
from transforms.collection.columns import embeddings_schema, example_features
from transforms.core.elements import Embedding, ImageFacts, ImageUri
from transforms.core.failures import Failure
from transforms.read.uri_lists import UriList, carried_by, data_rows
from transforms.write.failures import failure_to_json
from transforms.write.parquet import ParquetFormat
from transforms.write.tfrecord import to_example

UNITS = ("s", "ms", "us", "ns")
ZONES = (None, "UTC", "Europe/Berlin", "+05:30", "Mars/Phobos")
INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
# Seconds are stored as milliseconds, so that there are fewer of them.
MOMENTS = st.integers(-(2**53), 2**53) | st.sampled_from([0, 1, 10**9, 1_767_229_261_123_456_789 // 1000, 253402300800])
DAY_MS = 86_400_000


def integers(type_: pa.DataType) -> st.SearchStrategy[int]:
    bits, signed = type_.bit_width, pa.types.is_signed_integer(type_)
    return st.integers(-(2 ** (bits - 1)) if signed else 0, 2 ** (bits - signed) - 1)


Typed = tuple[pa.DataType, st.SearchStrategy[Any]]

LEAVES: list[Typed] = [
    (pa.bool_(), st.booleans()),
    *((type_, integers(type_)) for type_ in INTEGERS),
    (pa.float16(), st.floats(width=16)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    *((type_, st.text(max_size=4)) for type_ in (pa.string(), pa.large_string(), pa.string_view())),
    *((type_, st.binary(max_size=4)) for type_ in (pa.binary(), pa.large_binary(), pa.binary_view())),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.uuid(), st.binary(min_size=16, max_size=16)),
    (pa.dictionary(pa.int8(), pa.string()), st.text(max_size=4)),
    (pa.dictionary(pa.int32(), pa.int64()), integers(pa.int64())),
    (pa.decimal128(5, 2), st.integers(-99999, 99999).map(lambda n: decimal.Decimal(n).scaleb(-2))),
    (pa.decimal256(50, 3), st.integers(-(10**27), 10**27).map(lambda n: decimal.Decimal(n).scaleb(-3))),
    (pa.null(), st.none()),
    (pa.date32(), st.integers(-(2**31), 2**31 - 1)),
    (pa.date64(), st.integers(-(10**6), 10**6).map(DAY_MS.__mul__)),
    (pa.time32("s"), st.integers(0, 86399)),
    (pa.time32("ms"), st.integers(0, DAY_MS - 1)),
    (pa.time64("us"), st.integers(0, DAY_MS * 10**3 - 1)),
    (pa.time64("ns"), st.integers(0, DAY_MS * 10**6 - 1)),
    *((pa.duration(unit), MOMENTS) for unit in UNITS),
    *((pa.timestamp(unit, zone), MOMENTS) for unit in UNITS for zone in ZONES),
]


def nested(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    """Return strategies of types whose values hold those of others, or null."""

    def lists(of: Typed) -> st.SearchStrategy[Typed]:
        type_, values = of[0], st.none() | of[1]
        some, two = st.lists(values, max_size=3), st.lists(values, min_size=2, max_size=2)
        kinds = [(pa.list_(type_), some), (pa.large_list(type_), some), (pa.list_(type_, 2), two)]
        keyed = st.lists(st.tuples(st.text(max_size=3), values), max_size=2)
        fields = st.fixed_dictionaries({"x": values, "ä": values})
        return st.sampled_from(
            [*kinds, (pa.map_(pa.string(), type_), keyed), (pa.struct([("x", type_), ("ä", type_)]), fields)]
        )

    return inner.flatmap(lists)


TYPES = st.recursive(st.sampled_from(LEAVES), nested, max_leaves=3)
COLUMNS = TYPES.flatmap(lambda typed: st.tuples(st.just(typed[0]), st.lists(st.none() | typed[1], max_size=4)))


def stored(value: Any, type_: pa.DataType) -> Any:
    """Return a value as Parquet keeps it: seconds as milliseconds, days as days, floats by their digits."""
    if value is None:
        return None
    if pa.types.is_map(type_):
        return [(stored(k, type_.key_type), stored(v, type_.item_type)) for k, v in value]
    if pa.types.is_struct(type_):
        return {field.name: stored(value.get(field.name), field.type) for field in type_}
    if pa.types.is_nested(type_):
        return [stored(v, type_.value_type) for v in value]
    if pa.types.is_floating(type_):
        return repr(float(value))
    if type_ == pa.date64():
        return value // DAY_MS
    in_seconds = (pa.types.is_timestamp(type_) or pa.types.is_time(type_)) and type_.unit == "s"
    return value * 1000 if in_seconds else value


def raw(type_: pa.DataType) -> pa.DataType:
    """Return the type of the numbers that Arrow stores for times."""
    if pa.types.is_map(type_):
        return pa.map_(raw(type_.key_type), raw(type_.item_type))
    if pa.types.is_struct(type_):
        return pa.struct([(field.name, raw(field.type)) for field in type_])
    if pa.types.is_large_list(type_):
        return pa.large_list(raw(type_.value_type))
    if pa.types.is_list(type_):
        return pa.list_(raw(type_.value_type))
    is_time = pa.types.is_temporal(type_) or pa.types.is_duration(type_)
    return (pa.int32() if type_.bit_width == 32 else pa.int64()) if is_time else type_


def sunk(rows: list[dict[str, Any]], carried: pa.Schema, folder: str) -> pa.Table:
    """Pass rows through every sink; return what Parquet holds."""
    facts = ImageFacts(1, 1, "PNG", "0")
    sources = [ImageUri(row["uri"], {k: v for k, v in row.items() if k != "uri"}) for row in rows]
    embeddings = [Embedding(source, facts, np.zeros(3, np.float32)) for source in sources]
    spec_ = spec(dim=3)
    for one in embeddings:
        assert to_example(one, example_features(spec_, carried))
        line = failure_to_json(Failure(one.source, "decode", "corrupt", "permanent", "", ""))
        line.encode()
        assert json.loads(line)["uri"] == one.source.uri
    format_ = ParquetFormat(embeddings_schema(spec_, carried), 2)
    format_.write(f"{folder}/part", [format_.encode(embeddings)])
    format_.write(f"{folder}/shard", format_.read(f"{folder}/part"))
    return pq.read_table(f"{folder}/shard")


def read(path: str) -> tuple[list[tuple[str, dict[str, Any]]], pa.Schema]:
    carried = carried_by([UriList(path)], "uri")
    return list(data_rows(UriList(path), carried)), carried.schema


@given(COLUMNS)
@example((pa.list_(pa.int64(), 2), [[1, 2], None]))
@example((pa.timestamp("us", "Mars/Phobos"), [0, None, 253402300800_000000]))
@example((pa.timestamp("ns"), [1_767_229_261_123_456_789]))
@example((pa.list_(pa.timestamp("ns")), [[1_767_229_261_123_456_789, 1000]]))
@example((pa.list_(pa.null()), [[None, None]]))
@example((pa.large_list(pa.duration("s")), [[2**53, None]]))
def test_a_column_of_parquet_comes_back_value_for_value(column: tuple[pa.DataType, list[Any]]) -> None:
    """(2a) One value that Python or pandas has no word for failed the run, some of them after all was embedded."""
    type_, values = column
    try:
        array = pa.array([*values, None], type_)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        assume(False)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/list.parquet"
        pq.write_table(pa.table({"uri": [f"{i}.jpg" for i in range(len(array))], "v": array}), path)
        rows, carried = read(path)
        assert [why for why, _ in rows] == [""] * len(array)
        found = sunk([row for _, row in rows], carried, folder).column("v").combine_chunks()
    assert found.type == carried.field("v").type
    plain = found.cast(raw(found.type)).to_pylist()
    assert [stored(value, raw(found.type)) for value in plain] == [stored(value, type_) for value in [*values, None]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**54), 2**54) | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=5,
)
# Columns of one kind as well, since mixed ones are text.
ALIKE = st.one_of(
    st.lists(kind, max_size=4)
    for kind in (
        st.integers(-(2**54), 2**54) | st.floats(),
        st.lists(st.integers(-9, 9) | st.none() | st.floats(0, 1), max_size=3),
        st.dictionaries(st.sampled_from("ab"), st.lists(st.none() | st.booleans()) | st.none()),
    )
)


def same(found: Any, value: Any, type_: pa.DataType) -> bool:
    """Whether a JSON value has come back: of a column of mixed types, its JSON."""
    if value is None or found is None:
        return value is found
    if pa.types.is_string(type_) and not isinstance(value, str):
        return same_json(json.loads(found), value)
    if pa.types.is_struct(type_):
        return all(same(found[f.name], value.get(f.name), f.type) for f in type_) and set(value) <= set(found)
    if pa.types.is_list(type_):
        return len(found) == len(value) and all(same(a, b, type_.value_type) for a, b in zip(found, value, strict=True))
    return same_json(found, value)


def same_json(a: Any, b: Any) -> bool:
    return bool(a == b or repr(a) == repr(b) or (isinstance(a, float) and isinstance(b, float) and math.isnan(a + b)))


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@given(st.lists(JSON, max_size=4) | ALIKE)
@example([deep(300)])
@example([deep(32), deep(31), deep(33)])
@example([[None, None]])
@example([9007199254740993, 0.5])
@example([[9007199254740993], [0.5]])
@example([{}, {"a": {}}])
@example([2**64, 2**63])
@example([True, 1])
@example([{"\ud800": 1}, "\udcff"])
def test_a_value_of_json_lines_comes_back_by_value(values: list[Any]) -> None:
    """(2a) 300 levels, and lists of nulls, failed the run, these only at its end."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "list.jsonl")
        path.write_text("".join(json.dumps({"uri": f"{i}.jpg", "v": v}) + "\n" for i, v in enumerate([*values, None])))
        rows, carried = read(str(path))
        good = [(row, value) for (why, row), value in zip(rows, [*values, None], strict=True) if not why]
        for (why, _), value in zip(rows, [*values, None], strict=True):
            assert not why or "\\ud" in json.dumps(value), why
        table = sunk([row for row, _ in good], carried, folder)
    type_ = carried.field("v").type
    for found, (row, value) in zip(table.column("v").to_pylist(), good, strict=True):
        assert same(found, value, type_), (type_, found, value)
        assert same(row["v"], value, type_)


def test_bytes_that_are_no_text_are_told(tmp_path: pathlib.Path) -> None:
    """(2a) Other writers check less than Arrow does."""
    path = str(tmp_path / "list.parquet")
    text = pa.array([b"a", b"\xff", b"c"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"uri": ["0.jpg", "1.jpg", "2.jpg"], "v": text, "n": [[t] for t in (1, 2, 3)]}), path)
    rows, _ = read(path)
    assert [row.get("v") for _, row in rows] == ["a", None, "c"]
    assert [why for why, _ in rows] == ["", "column 'v': not UTF-8; save the list as UTF-8", ""]


def test_times_are_pythons_where_python_has_them(tmp_path: pathlib.Path) -> None:
    """So that failures files and TFRecord say them in ISO 8601."""
    path = str(tmp_path / "list.parquet")
    noon = datetime.datetime(2024, 2, 29, 12, 0, 0, 123456)
    pq.write_table(pa.table({"uri": ["0.jpg"], "v": pa.array([noon], pa.timestamp("ns"))}), path)
    rows, _ = read(path)
    assert rows == [("", {"uri": "0.jpg", "v": noon})]
    assert type(rows[0][1]["v"]) is datetime.datetime
