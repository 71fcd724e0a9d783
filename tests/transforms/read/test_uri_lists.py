"""Uri lists: their rows, the types of their columns, and what is said of those that cannot be used."""

import gzip
import json
import pathlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.collection.columns import FAILURE_COLUMNS
from transforms.core.errors import UsageError
from transforms.read.uri_lists import carried_schema, data_rows, is_uri_list, merged_schema


def written(folder: pathlib.Path, name: str, content: str | bytes) -> str:
    """Write a uri list, compressed if its name says so."""
    data = content.encode() if isinstance(content, str) else content
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return str(path)


def schema_of(path: str, uri_column: str = "uri") -> dict[str, pa.DataType]:
    schema = carried_schema(path, uri_column)
    return dict(zip(schema.names, schema.types, strict=True))


def read(path: str, uri_column: str = "uri") -> list[tuple[str, dict[str, Any]]]:
    """Read the rows of a uri list with the types that it was found to have."""
    return list(data_rows(path, uri_column, carried_schema(path, uri_column)))


@pytest.mark.parametrize("path", ["a.txt", "/x/a.csv", "a.TSV", "gs://b/a.jsonl", "a.parquet", "a.csv.gz", "A.TXT.GZ"])
def test_a_uri_list_is_known_by_its_suffix(path: str) -> None:
    assert is_uri_list(path)


@pytest.mark.parametrize("path", ["a.jpg", "csv", "a.csv.jpg", "a.gz", "a.json", "a.csv.zip", ""])
def test_other_suffixes_are_no_uri_list(path: str) -> None:
    assert not is_uri_list(path)


@pytest.mark.parametrize("name", ["x.txt", "x.txt.gz", "X.TXT"])
def test_text_has_a_uri_on_each_line(tmp_path: pathlib.Path, name: str) -> None:
    path = written(tmp_path, name, "\ufeffa.jpg\r\n\n# a comment\n  b c.jpg \n   \nd#1.jpg")
    assert read(path) == [("", {"uri": "a.jpg"}), ("", {"uri": "b c.jpg"}), ("", {"uri": "d#1.jpg"})]
    assert schema_of(path) == {}


@pytest.mark.parametrize(
    ("name", "separator"), [("x.csv", ","), ("x.tsv", "\t"), ("x.csv.gz", ","), ("x.tsv.gz", "\t")]
)
def test_tables_of_text_have_typed_columns(tmp_path: pathlib.Path, name: str, separator: str) -> None:
    lines = [["uri", "n", "x", "s"], ["a.jpg", "1", "0.5", "007"], [], ["b.jpg", "-2", "3", "ä"]]
    path = written(tmp_path, name, "\ufeff" + "\n".join(separator.join(line) for line in lines))
    assert schema_of(path) == {"n": pa.int64(), "x": pa.float64(), "s": pa.string()}
    assert read(path) == [
        ("", {"uri": "a.jpg", "n": 1, "x": 0.5, "s": "007"}),
        ("", {"uri": "b.jpg", "n": -2, "x": 3.0, "s": "ä"}),
    ]


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        (["0", "-1", "999999999999999999"], pa.int64()),
        (["1", "", "3"], pa.int64()),
        (["1", "2.5"], pa.float64()),
        (["2.5", "1"], pa.float64()),
        (["1", "x"], pa.string()),
        (["x", "1"], pa.string()),
        *[
            ([text], pa.string())
            for text in ("007", "+1", "1e5", "nan", "1_000", "true", "12345678901234567890", "٣", "1٣")
        ],
        *[([text], pa.string()) for text in ("0.1234567890123456789", "123456789012345.123456789012345")],
        (["0.50", "0.8444218515250481", "-0.00001"], pa.float64()),
        (["9007199254740992", "0.5"], pa.float64()),
        (["9007199254740993", "0.5"], pa.string()),
        (["0.5", "9007199254740993", ""], pa.string()),
        (["9007199254740993", "1"], pa.int64()),
        (["", ""], pa.string()),
    ],
)
def test_a_csv_column_is_a_number_only_if_all_its_values_are(
    tmp_path: pathlib.Path, values: list[str], type_: pa.DataType
) -> None:
    path = written(tmp_path, "x.csv", "uri,v\n" + "".join(f"a.jpg,{value}\n" for value in values))
    assert schema_of(path) == {"v": type_}
    typed = [row["v"] for _, row in read(path)]
    if type_ == pa.string():
        assert typed == values
    else:
        number = int if type_ == pa.int64() else float
        assert typed == [number(value) if value else None for value in values]


def test_quoted_fields_hold_separators_quotes_and_lines(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, "x.csv", 'uri,s\r\n"a,b.jpg","say ""hi""\nthere"\r\n')
    assert read(path) == [("", {"uri": "a,b.jpg", "s": 'say "hi"\nthere'})]


def test_a_row_of_other_length_is_told_and_the_next_is_read(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, "x.csv", "uri,s\na.jpg\nb.jpg,1\nc.jpg,2,3\n")
    why = [why for why, _ in read(path)]
    assert why == ["1 fields where the header has 2", "", "3 fields where the header has 2"]


def test_a_field_too_large_for_csv_is_told_and_later_rows_are_read(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, "x.csv", f"uri,s\na.jpg,{'x' * 200_000}\nb.jpg,1\n")
    (why, _), *others = read(path)
    assert why.startswith("not CSV: field larger than field limit")
    assert ("", {"uri": "b.jpg", "s": 1}) in others


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz"])
def test_json_lines_keep_their_types(tmp_path: pathlib.Path, name: str) -> None:
    row = {"uri": "a.jpg", "n": 1, "x": 0.5, "b": True, "s": "007", "l": [1, 2], "d": {"k": "v"}, "none": None}
    path = written(tmp_path, name, f"{json.dumps(row)}\n\n{json.dumps({'uri': 'b.jpg', 'n': 2})}\n")
    assert schema_of(path) == {
        "n": pa.int64(),
        "x": pa.float64(),
        "b": pa.bool_(),
        "s": pa.string(),
        "l": pa.list_(pa.int64()),
        "d": pa.struct([("k", pa.string())]),
        "none": pa.string(),
    }
    assert read(path) == [("", row), ("", {"uri": "b.jpg", "n": 2})]


@pytest.mark.parametrize(
    ("first", "second", "type_", "values"),
    [
        (1, 0.5, pa.float64(), [1.0, 0.5]),
        (None, 1, pa.int64(), [None, 1]),
        (1, "x", pa.string(), ["1", "x"]),
        (True, "x", pa.string(), ["true", "x"]),
        ([1], "x", pa.string(), ["[1]", "x"]),
        ({}, {}, pa.string(), ["{}", "{}"]),
        ([1, "x"], [2], pa.string(), ['[1, "x"]', "[2]"]),
        (2**70, 1, pa.string(), [str(2**70), "1"]),
        ([1], [0.5], pa.list_(pa.float64()), [[1], [0.5]]),
    ],
)
def test_json_values_of_two_types_are_widened(
    tmp_path: pathlib.Path, first: Any, second: Any, type_: pa.DataType, values: list[Any]
) -> None:
    path = written(tmp_path, "x.jsonl", "".join(json.dumps({"uri": "a", "v": v}) + "\n" for v in (first, second)))
    assert schema_of(path) == {"v": type_}
    assert [row["v"] for _, row in read(path)] == values


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{broken", "not JSON: Expecting property name"),
        ('["a.jpg"]', "a line of JSON that is not an object"),
        ('"a.jpg"', "a line of JSON that is not an object"),
        ("[" * 100_000, "not JSON: "),
        ('{"uri": "\\ud83d"}', "not JSON: "),
    ],
    ids=["broken", "list", "string", "deep", "half a character"],
)
def test_a_line_that_is_no_json_object_is_told_and_the_next_is_read(
    tmp_path: pathlib.Path, line: str, why: str
) -> None:
    (lost, found) = read(written(tmp_path, "x.jsonl", f'{line}\n{{"uri": "b.jpg"}}\n'))
    assert lost[0].startswith(why)
    assert lost[1] == {}
    assert found == ("", {"uri": "b.jpg"})


def test_parquet_keeps_its_types_over_many_batches(tmp_path: pathlib.Path) -> None:
    columns = {"image": [f"{i}.jpg" for i in range(3000)], "v": pa.array(range(3000), pa.int16())}
    path = str(tmp_path / "x.parquet")
    pq.write_table(pa.table(columns), path)
    assert schema_of(path, "image") == {"v": pa.int16()}
    assert read(path, "image") == [("", {"uri": f"{i}.jpg", "v": i}) for i in range(3000)]


def test_uri_column_names_the_uri(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, "x.csv", "uri,url\nnot-this,a.jpg\n")
    assert read(path, "url") == [("", {"uri": "a.jpg", "list_uri": "not-this"})]


def test_the_columns_of_a_failures_file_are_not_carried(tmp_path: pathlib.Path) -> None:
    row = {**dict.fromkeys(FAILURE_COLUMNS, "x"), "label": 1}
    path = written(tmp_path, "failures.jsonl", json.dumps(row))
    assert read(path) == [("", {"uri": "x", "label": 1})]


def test_bytes_that_are_no_utf8_are_kept_in_uris_and_replaced_in_columns(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, "x.csv", b"uri,s\n\xfc.jpg,\xfc\n")
    assert read(path) == [("", {"uri": "\udcfc.jpg", "s": "?"})]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "x.csv",
            "url\na.jpg\n",
            "has no column 'uri' (did you mean 'url'?); it has url; choose one with --uri_column",
        ),
        ("x.jsonl", '{"path": "a", "label": 1}\n', "has no column 'uri'; it has path, label; choose one with"),
        ("x.csv", "", "has no rows"),
        ("x.csv", "uri,label\n", "has no rows"),
        ("x.txt", "\n# nothing\n", "has no rows"),
        ("x.jsonl.gz", "", "has no rows"),
        ("x.jsonl", "{broken\n", "has no row that can be read; its last one is not JSON"),
        ("x.parquet", "PAR1", "cannot read the uri list"),
    ],
)
def test_a_uri_list_that_cannot_be_used_is_told(tmp_path: pathlib.Path, name: str, content: str, says: str) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(UsageError) as error:
        carried_schema(path, "uri")
    assert says in str(error.value)
    assert path in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_parquet_has_no_rows(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "x.parquet")
    pq.write_table(pa.table({"uri": pa.array([], pa.string())}), path)
    with pytest.raises(UsageError, match="has no rows"):
        carried_schema(path, "uri")


def test_a_gzip_that_ends_early_is_told(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.txt.gz"
    path.write_bytes(gzip.compress(b"a.jpg\n" * 1000)[:-10])
    with pytest.raises(UsageError, match=r"cannot read the uri list .*; check the file, or make it anew"):
        carried_schema(str(path), "uri")


def test_schemas_are_merged_in_order_and_widened() -> None:
    one = pa.schema([("n", pa.int64()), ("s", pa.string())])
    other = pa.schema([("x", pa.bool_()), ("n", pa.float64()), ("s", pa.int64())])
    expected = pa.schema([("n", pa.float64()), ("s", pa.string()), ("x", pa.bool_())])
    assert merged_schema([one, other]) == expected
    assert merged_schema([]) == pa.schema([])
