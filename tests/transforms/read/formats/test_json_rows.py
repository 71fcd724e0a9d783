"""Lines of JSON are rows; one that is none is told."""

import json
import math
import pathlib

import pyarrow as pa
import pytest

from transforms.read.bounds import MAX_COLUMNS, ROW_BYTES
from transforms.read.formats.json_rows import columns, rows, to_arrow

WANTED = {"v": pa.field("n", pa.int64())}


def test_rows_have_the_wanted_columns_by_their_names_in_the_output(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"uri": "a", "v": 1, "w": 2}\n \n{"uri": "b"}\n')
    assert dict(columns(str(path), "uri").types) == {"uri": pa.string(), "v": pa.int64(), "w": pa.int64()}
    assert list(rows(str(path), "uri", WANTED)) == [("", {"uri": "a", "n": 1}), ("", {"uri": "b", "n": None})]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("[1]", "a line of JSON that is not an object"),
        ("{", "not JSON: Expecting property name"),
        ("[" * 100_000, "not JSON: maximum recursion depth exceeded"),
        ('{"v": ' + "1" * 5000 + "}", "not JSON: Exceeds the limit"),
        ('{"v": "' + "x" * ROW_BYTES + '"}', "not JSON: a row of more than 16,777,216 characters"),
        ('{"\\ud83d": 1}', "not JSON: 'utf-8' codec can't encode"),
        ('{"v": "\\ud83d"}', "not JSON: 'utf-8' codec can't encode"),
        ('{"v": 1, "w": 2, "v": 1}', "not JSON: the key 'v' stands twice"),
        ('{"w": [{"x": 1, "x": 2}]}', "not JSON: the key 'x' stands twice"),
        ('{"v": 1e999}', "not JSON: the number 1e999 is beyond float64"),
        ('{"w": [-1.5E+400]}', "not JSON: the number -1.5E+400 is beyond float64"),
        (json.dumps(dict.fromkeys(map(str, range(MAX_COLUMNS + 1)))), "an object of 10,001 keys; at most 10,000 are"),
    ],
    ids=[
        *("list", "broken", "deep", "long number", "long", "half a character in a name", "half a character"),
        *("a key twice", "a key twice within", "infinite", "infinite within", "wide"),
    ],
)
def test_a_line_that_is_no_row_is_told_and_the_next_is_read(tmp_path: pathlib.Path, line: str, why: str) -> None:
    """(2a, 2d, 4b)"""
    path = tmp_path / "x.jsonl"
    path.write_text(f'{line}\n{{"uri": "b", "v": 2}}\n')
    (lost, nothing), found = rows(str(path), "uri", WANTED)
    assert lost.startswith(why)
    assert nothing == {}
    assert found == ("", {"uri": "b", "n": 2})
    assert set(columns(str(path), "uri").types) == {"uri", "v"}


def test_infinity_that_is_written_as_such_is_carried(tmp_path: pathlib.Path) -> None:
    """(2d)"""
    path = tmp_path / "x.jsonl"
    path.write_text('{"uri": "a", "v": -Infinity}\n{"uri": "b", "v": 1e308}\n')
    assert [row["n"] for _, row in rows(str(path), "uri", {"v": pa.field("n", pa.float64())})] == [-math.inf, 1e308]


def test_values_of_a_column_of_text_are_json() -> None:
    assert to_arrow([1, "x", [True], None], pa.string()).to_pylist() == ["1", "x", "[true]", None]
    assert to_arrow([1], pa.float64()).to_pylist() == [1.0]
