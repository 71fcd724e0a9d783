"""Fields of CSV are text, and numbers where that loses nothing; names are unique, and no row ends the reading."""

import pathlib

import pyarrow as pa
import pytest

from transforms.core.errors import UsageError
from transforms.read.bounds import MAX_COLUMNS, ROW_BYTES
from transforms.read.formats.csv_rows import columns, header, is_long, number_array, rows, to_arrow, type_of, unique


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([], []),
        (["a", "b"], ["a", "b"]),
        (["a", "a", "a"], ["a", "a_2", "a_3"]),
        (["a", "a", "a_2"], ["a", "a_3", "a_2"]),
        (["", "", "_2"], ["", "_3", "_2"]),
    ],
)
def test_names_are_unique(names: list[str], found: list[str]) -> None:
    """(2d) Of two columns of one name the first was lost."""
    assert unique(names) == found


def test_ten_thousand_columns_of_one_name_are_unique() -> None:
    assert len(set(unique(["a"] * MAX_COLUMNS))) == MAX_COLUMNS


def test_the_header_is_the_first_row_that_is_not_blank() -> None:
    assert header(iter([[], ["a"], ["b"]])) == ["a"]
    assert header(iter([])) == []
    with pytest.raises(UsageError, match="it has 10,001 columns; at most 10,000 are carried"):
        header(iter([["a"] * (MAX_COLUMNS + 1)]))


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        (["1", "", "-2"], pa.int64()),
        (["1", "2.5", "3.0"], pa.float64()),
        (["123456789012345.5"], pa.float64()),
        ([], pa.null()),
        (["", ""], pa.null()),
    ],
)
def test_numbers_are_numbers(values: list[str], type_: pa.DataType) -> None:
    assert number_array(values).type == type_


@pytest.mark.parametrize(
    "value", ["007", "-0", "1e5", "2.50", "0.12345678901234567", "9" * 19, "x", " 1", "1\n", "\udcff"]
)
def test_what_would_lose_a_character_is_text(value: str) -> None:
    with pytest.raises(ValueError, match=r"not numbers|longer than a float64|surrogates not allowed"):
        number_array([value])
    assert type_of(value) == pa.string()


def test_a_long_number_beside_a_fraction_is_text() -> None:
    """(2c)"""
    assert number_array(["9007199254740993"]).type == pa.int64()
    with pytest.raises(ValueError, match="9007199254740993"):
        number_array(["9007199254740993", "0.5"])
    assert [is_long(value) for value in ("9007199254740993", "1", None, "x")] == [True, False, False, False]


def test_fields_become_what_their_column_is() -> None:
    assert to_arrow(["1", ""], pa.float64()).to_pylist() == [1.0, None]
    assert to_arrow(["1", ""], pa.string()).to_pylist() == ["1", ""]


def test_a_row_too_long_is_told_and_the_next_is_read(tmp_path: pathlib.Path) -> None:
    """(4b)"""
    path = tmp_path / "x.csv"
    many = ",".join(["x" * 1000] * (ROW_BYTES // 1000))
    path.write_text(f"uri,v\na.jpg,{many}\nb.jpg,1\nc.jpg\n")
    assert dict(columns(str(path), "uri").types) == {"uri": pa.string(), "v": pa.int64()}
    assert list(rows(str(path), "uri", {"v": pa.field("n", pa.int64())})) == [
        ("not CSV: a row of more than 16,777,216 characters", {}),
        ("", {"uri": "b.jpg", "n": 1}),
        ("1 fields where the header has 2", {}),
    ]


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_quote_that_is_never_closed_loses_its_row_alone(tmp_path: pathlib.Path, end: str) -> None:
    """(2a) All rows behind it were its text, in silence."""
    path = tmp_path / "x.csv"
    path.write_text('uri,v\na.jpg,"two\nlines"\nb.jpg,"5\nc.jpg,1\nd.jpg,2' + end)
    assert list(rows(str(path), "uri", {"v": pa.field("v", pa.string())})) == [
        ("", {"uri": "a.jpg", "v": "two\nlines"}),
        ("not CSV: a quote that is never closed", {}),
        ("", {"uri": "c.jpg", "v": "1"}),
        ("", {"uri": "d.jpg", "v": "2"}),
    ]
    assert columns(str(path), "uri").num_rows == 4


def test_a_quote_that_is_closed_too_far_away_loses_its_row_alone(tmp_path: pathlib.Path) -> None:
    """(2a, 4b)"""
    path = tmp_path / "x.csv"
    long = "x" * 1_000_000
    path.write_text('uri,v\na.jpg,"5\n' + f"b.jpg,{long}\n" * 20 + 'c.jpg,"1"\n')
    found = list(rows(str(path), "uri", {"v": pa.field("v", pa.string())}))
    assert [why for why, _ in found] == ["not CSV: a row of more than 16,777,216 characters", *[""] * 21]
    assert [row["uri"] for _, row in found[1:]] == ["b.jpg"] * 20 + ["c.jpg"]
