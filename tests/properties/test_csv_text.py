"""Text survives a uri list of any kind, whatever it is."""

import csv
import decimal
import gzip
import io
import json
import pathlib
import re
import tempfile
from typing import Any

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from transforms.read.uri_lists import Carried, UriList, carried_by, data_rows

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
AWKWARD = st.text("\",\t\r\n' ;\\|#\ufeff\x1a\x85\u2028", max_size=6)
ROWS = st.lists(st.tuples(*[TEXT | AWKWARD] * 3), min_size=1, max_size=6)
NAMES = ("uri", "label", "ä note")
ALL_TEXT = pa.schema([("label", pa.string()), ("ä note", pa.string())])

WHOLE = st.integers(-(10**18), 10**18).map(str) | st.integers(2**53 - 2, 2**53 + 2).map(str)
FRACTIONS = st.from_regex(r"-?(0|[1-9][0-9]{0,3})[.][0-9]{1,3}", fullmatch=True)
LONG = st.from_regex(r"(0|[1-9][0-9]{0,19})[.][0-9]{10,20}", fullmatch=True)
OTHERS = st.sampled_from(["", "007", "-0", "00.5", "1e5", " 1", "1.", ".5", "+1", "nan", "1_0", "\u0661"])
# Columns of one kind, since a single value that is no number makes text of all.
COLUMNS = st.one_of(*(st.lists(values, max_size=4) for values in (WHOLE, WHOLE | FRACTIONS, FRACTIONS, LONG, OTHERS)))


def written(folder: str, name: str, rows: list[tuple[str, ...]], names: tuple[str, ...] = NAMES) -> str:
    """Write a list by Python's csv module; return its path."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter="\t" if ".tsv" in name else ",")
    writer.writerow(names)
    writer.writerows(rows)
    data = text.getvalue().encode()
    path = pathlib.Path(folder) / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return str(path)


def read_as_text(path: str) -> list[Any]:
    names = {name: name for name in ALL_TEXT.names}
    return list(data_rows(UriList(path), Carried("uri", "", ALL_TEXT, {path: names}, 0, {})))


@given(ROWS, st.sampled_from(["list.csv", "list.tsv", "list.csv.gz"]))
@example([("", "", "")], "list.csv")
@example([("a\r", "\n", "\r\n")], "list.tsv")
def test_text_survives_csv(rows: list[tuple[str, ...]], name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = read_as_text(written(folder, name, rows))
    assert found == [("", dict(zip(NAMES, row, strict=True))) for row in rows]


@given(ROWS)
def test_text_survives_json_lines(rows: list[tuple[str, ...]]) -> None:
    expected: list[dict[str, Any]] = [dict(zip(NAMES, row, strict=True)) for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "list.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in expected), "utf-8", newline="")
        found = read_as_text(str(path))
    assert found == [("", row) for row in expected]


@given(COLUMNS)
@example(["999999999999999999", "0.5"])
@example(["0.5", "9007199254740993"])
@example(["007"])
@example(["1", "0.12345678901234567890"])
def test_a_column_of_csv_is_read_as_numbers_only_where_no_digit_is_lost(values: list[str]) -> None:
    rows = [(f"{i}.jpg", value) for i, value in enumerate([*values, ""])]
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder, "list.csv", rows, ("uri", "n"))
        carried = carried_by([UriList(path)], "uri")
        type_ = carried.schema.field("n").type
        found = [row["n"] for _, row in data_rows(UriList(path), carried)]
    plain = [value for value in values if value]
    if pa.types.is_string(type_):
        assert found == [*values, ""]
        assert not plain or not all(re.fullmatch(r"-?(0|[1-9][0-9]{0,14})", value) for value in plain)
        return
    assert type_ == (pa.float64() if any("." in value for value in plain) else pa.int64())
    for value, text in zip(found, [*values, ""], strict=True):
        assert re.fullmatch(r"-?(0|[1-9][0-9]*)([.][0-9]+)?|", text)
        assert value is None if not text else decimal.Decimal(repr(value)) == decimal.Decimal(text)
