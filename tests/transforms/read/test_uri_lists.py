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
from transforms.read.bounds import CELL_BYTES
from transforms.read.uri_lists import UriList, carried_by, data_rows


def written(folder: pathlib.Path, name: str, content: str | bytes) -> str:
    """Write a uri list, compressed if its name says so."""
    data = content.encode() if isinstance(content, str) else content
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return str(path)


def schema_of(*paths: str, uri_column: str = "uri") -> dict[str, pa.DataType]:
    schema = carried_by(map(UriList, paths), uri_column).schema
    return dict(zip(schema.names, schema.types, strict=True))


def read(*paths: str, uri_column: str = "uri") -> list[tuple[str, dict[str, Any]]]:
    """Read the rows of uri lists with the types that they were found to have."""
    carried = carried_by(map(UriList, paths), uri_column)
    return [row for path in paths for row in data_rows(UriList(path), carried)]


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
        (["0.5", "0.8444218515250481", "-0.00001"], pa.float64()),
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


def test_a_long_field_is_carried_and_one_too_long_is_told(tmp_path: pathlib.Path) -> None:
    """(2d) Python's csv gives up at 131,072 characters, and the image was lost."""
    path = written(tmp_path, "x.csv", f"uri,s\na.jpg,{'x' * 200_000}\nb.jpg,{'x' * (CELL_BYTES + 1)}\nc.jpg,1\n")
    first, (why, _), last = read(path)
    assert first == ("", {"uri": "a.jpg", "s": "x" * 200_000})
    assert why == "column 's': a value of 1,048,577 bytes; at most 1,048,576 are carried"
    assert last == ("", {"uri": "c.jpg", "s": "1"})


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
    absent = dict.fromkeys(["x", "b", "s", "l", "d", "none"])
    assert read(path) == [("", row), ("", {"uri": "b.jpg", "n": 2, **absent})]


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
    assert schema_of(path, uri_column="image") == {"v": pa.int16()}
    assert read(path, uri_column="image") == [("", {"uri": f"{i}.jpg", "v": i}) for i in range(3000)]


def test_uri_column_names_the_uri(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, "x.csv", "uri,url\nnot-this,a.jpg\n")
    assert read(path, uri_column="url") == [("", {"uri": "a.jpg", "list_uri": "not-this"})]


def test_the_columns_of_a_failures_file_are_not_carried(tmp_path: pathlib.Path) -> None:
    row = {**dict.fromkeys(FAILURE_COLUMNS, "x"), "label": 1}
    path = written(tmp_path, "failures.jsonl", json.dumps(row))
    assert read(path) == [("", {"uri": "x", "label": 1})]


def test_a_failures_file_that_tells_no_versions_is_one_all_the_same(tmp_path: pathlib.Path) -> None:
    row = {name: "x" for name in FAILURE_COLUMNS if name != "version"}
    assert read(written(tmp_path, "failures.jsonl", json.dumps({**row, "label": 1}))) == [
        ("", {"uri": "x", "label": 1})
    ]


def test_a_lists_own_version_is_carried(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, "x.csv", "uri,version\na.jpg,v2\n")
    assert read(path) == [("", {"uri": "a.jpg", "list_version": "v2"})]


def test_bytes_that_are_no_utf8_are_kept_in_uris_and_told_in_columns(tmp_path: pathlib.Path) -> None:
    """(2d) Latin-1 became `caf?` without a word."""
    path = written(tmp_path, "x.csv", b"uri,s\n\xfc.jpg,b\na.jpg,caf\xe9\n")
    why = "column 's': not UTF-8; save the list as UTF-8"
    assert read(path) == [("", {"uri": "\udcfc.jpg", "s": "b"}), (why, {})]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.csv.gz"])
def test_a_byte_order_mark_says_the_encoding(tmp_path: pathlib.Path, name: str, encoding: str) -> None:
    """(2d) Spreadsheets save UTF-16."""
    mark = "\ufeff" if encoding.endswith("e") else ""
    text = '{"uri": "ä.jpg", "s": "🧀"}\n' if "json" in name else "uri,s\nä.jpg,🧀\n"
    assert read(written(tmp_path, name, (mark + text).encode(encoding))) == [("", {"uri": "ä.jpg", "s": "🧀"})]


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
    assert_refused(written(tmp_path, name, content), says)


def assert_refused(path: str, says: str) -> None:
    """Assert that a list is refused at launch, in a line that names it."""
    with pytest.raises(UsageError) as error:
        schema_of(path)
    assert says in str(error.value)
    assert path in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_parquet_has_no_rows(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "x.parquet")
    pq.write_table(pa.table({"uri": pa.array([], pa.string())}), path)
    with pytest.raises(UsageError, match="has no rows"):
        schema_of(path)


def test_a_gzip_that_ends_early_is_told(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.txt.gz"
    path.write_bytes(gzip.compress(b"a.jpg\n" * 1000)[:-10])
    with pytest.raises(UsageError, match=r"cannot read the uri list .*; check the file, or make it anew"):
        schema_of(str(path))


def test_the_columns_of_several_lists_are_merged_in_order_and_widened(tmp_path: pathlib.Path) -> None:
    one = written(tmp_path, "1.csv", "uri,n,s\na,1,x\n")
    other = written(tmp_path, "2.jsonl", '{"x": true, "uri": "b", "n": 0.5, "s": 1}\n')
    assert schema_of(one, other) == {"n": pa.float64(), "s": pa.string(), "x": pa.bool_()}
    assert read(one, other) == [
        ("", {"uri": "a", "n": 1.0, "s": "x"}),
        ("", {"uri": "b", "n": 0.5, "s": "1", "x": True}),
    ]
    assert schema_of() == {}


LONG = 900719925474099301
"""An identifier, which float64 would round to ...328."""


@pytest.mark.parametrize(
    ("whole", "type_", "values"),
    [(2**53, pa.float64(), [2.0**53, 0.5]), (LONG, pa.string(), [str(LONG), "0.5"])],
)
@pytest.mark.parametrize("names", ["1.parquet 2.parquet", "1.csv 2.csv", "1.jsonl 2.parquet", "1.parquet 2.csv"])
@pytest.mark.parametrize("backwards", [False, True])
def test_whole_numbers_become_fractions_only_if_all_survive(
    tmp_path: pathlib.Path, whole: int, type_: pa.DataType, values: list[Any], names: str, backwards: bool
) -> None:
    """(2c) ...301 and ...303 both became ...328."""
    paths = []
    for name, value in zip(names.split(), (whole, 0.5), strict=True):
        path = str(tmp_path / name)
        if name.endswith("parquet"):
            pq.write_table(pa.table({"uri": ["a.jpg"], "v": [value]}), path)
        else:
            text = f"uri,v\na.jpg,{value}\n" if name.endswith("csv") else f'{{"uri": "a.jpg", "v": {value}}}\n'
            path = written(tmp_path, name, text)
        paths.append(path)
    if backwards:
        paths, values = paths[::-1], values[::-1]
    assert schema_of(*paths) == {"v": type_}
    assert [row["v"] for _, row in read(*paths)] == values


def test_columns_of_one_name_are_both_carried(tmp_path: pathlib.Path) -> None:
    """(2d) The first of them was lost, and so was `width` beside `list_width`."""
    path = written(tmp_path, "x.csv", "uri,a,a,a_2,width,list_width\ni.jpg,1,2,3,4,5\n")
    carried = {"a": 1, "a_3": 2, "a_2": 3, "list_list_width": 4, "list_width": 5}
    assert read(path) == [("", {"uri": "i.jpg", **carried})]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.jsonl", '{"uri": {"path": "a.jpg"}}', "holds struct<path: string>, and a uri is text; choose another"),
        ("x.jsonl", '{"uri": ["a.jpg"]}', "holds list<item: string>, and a uri is text"),
        ("x.csv", ",".join(["uri", *map(str, range(10_000))]) + "\na", "it has 10,001 columns; at most 10,000 are"),
        (
            "x.jsonl",
            "".join(f'{{"uri": "a", "{i}": 1, "{i}x": 1}}\n' for i in range(5000)),
            "it has 10,001 columns; at most 10,000 are carried",
        ),
    ],
    ids=["struct", "list", "wide", "wide in all"],
)
def test_a_list_that_no_row_could_be_read_of_is_refused(
    tmp_path: pathlib.Path, name: str, content: str, says: str
) -> None:
    """(2d, 4b) A struct for a uri became its text, of 18,155 characters."""
    assert_refused(written(tmp_path, name, content), says)
