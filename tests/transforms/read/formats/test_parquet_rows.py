"""Parquet is read in slices, by value, and whatever is wrong with a row group is the matter of its rows alone."""

import io
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.core.errors import UsageError
from transforms.read.bounds import CELL_BYTES, MAX_COLUMNS
from transforms.read.formats.parquet_rows import columns, rows


def written(folder: pathlib.Path, table: dict[str, Any], **arguments: Any) -> str:
    path = str(folder / "list.parquet")
    pq.write_table(pa.table(table), path, **arguments)
    return path


def read(path: str, *names: str) -> list[tuple[str, dict[str, Any]]]:
    types = columns(path, "uri").types
    return list(rows(path, "uri", {name: pa.field(name, types[name]) for name in names}))


def test_many_row_groups_are_read_in_order(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, {"uri": [f"{i}.jpg" for i in range(5000)], "v": range(5000)}, row_group_size=700)
    assert read(path, "v") == [("", {"uri": f"{i}.jpg", "v": i}) for i in range(5000)]
    assert columns(path, "uri").num_rows == 5000


@pytest.mark.parametrize("type_", [pa.binary(), pa.large_binary(), pa.dictionary(pa.int8(), pa.string()), pa.string()])
def test_a_uri_is_text_or_bytes(tmp_path: pathlib.Path, type_: pa.DataType) -> None:
    """(2d) Uris of bytes became b'...'."""
    path = written(tmp_path, {"uri": pa.array(["a.jpg", None], type_)})
    found = [row["uri"] for _, row in read(path)]
    assert found in (["a.jpg", None], [b"a.jpg", None])


def test_a_uri_that_python_cannot_hold_loses_its_row_alone(tmp_path: pathlib.Path) -> None:
    """(2a) One odd cell would end the run."""
    found = read(written(tmp_path, {"uri": pa.array([2**31 - 1, 1, None], pa.int32()).cast(pa.date32())}))
    assert [(bool(why), row.get("uri") is None) for why, row in found] == [(True, True), (False, False), (False, True)]


def test_a_uri_that_is_no_utf8_is_bytes(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, {"uri": pa.array([b"\xfc.jpg"], pa.binary()).view(pa.string())})
    assert read(path) == [("", {"uri": b"\xfc.jpg"})]


@pytest.mark.parametrize("type_", [pa.list_(pa.int64(), 2), pa.list_view(pa.int64()), pa.large_list_view(pa.int64())])
def test_lists_that_arrow_cannot_read_are_read(tmp_path: pathlib.Path, type_: pa.DataType) -> None:
    """(2a) A null in a list of a fixed size failed the run; the other types beside it stay as they are."""
    times = pa.array([1, 2, 3], pa.duration("s"))
    table = {"uri": list("abc"), "v": pa.array([[1, 2], None, [3, 4]], type_), "t": times}
    path = written(tmp_path, table)
    assert dict(columns(path, "uri").types)["t"] == pa.duration("s")
    assert [row["v"] for _, row in read(path, "v")] == [[1, 2], None, [3, 4]]
    assert [row["t"].total_seconds() for _, row in read(path, "t")] == [1, 2, 3]


def test_columns_of_one_name_are_both_read(tmp_path: pathlib.Path) -> None:
    """(2d)"""
    path = str(tmp_path / "list.parquet")
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array([1]), pa.array([2])], ["uri", "v", "v"]), path)
    assert read(path, "v", "v_2") == [("", {"uri": "a", "v": 1, "v_2": 2})]
    assert [columns(path, "uri").holds_long(name) for name in ("v", "v_2")] == [False, False]


def test_a_long_integer_is_looked_for_in_the_values(tmp_path: pathlib.Path) -> None:
    """(2c)"""
    path = written(tmp_path, {"uri": ["a", "b"], "v": [1, 2**60], "w": [[1], [2**60]], "x": [1, 2]}, row_group_size=1)
    assert [columns(path, "uri").holds_long(name) for name in "vwx"] == [True, True, False]


def test_values_become_text_where_another_list_needs_it(tmp_path: pathlib.Path) -> None:
    zoned = pa.array([0, 253402300800], pa.timestamp("s", "UTC"))
    path = written(tmp_path, {"uri": ["a", "b"], "v": zoned, "b": [b"x", b"\xff"]})
    wanted = {name: pa.field(name, pa.string()) for name in "vb"}
    first, (why, _) = rows(path, "uri", wanted)
    assert first == ("", {"uri": "a", "v": "1970-01-01T00:00:00+00:00", "b": "x"})
    assert why.startswith("column 'v': ")


def test_a_row_group_that_cannot_be_read_loses_its_rows_alone(tmp_path: pathlib.Path) -> None:
    """(2a) One flipped byte in the middle of a list ended the run."""
    table = {"uri": [f"{i}.jpg" for i in range(30)], "v": np.random.default_rng(1).bytes(8 * 30)[:30].hex(" ").split()}
    path = written(tmp_path, table, row_group_size=10, use_dictionary=False, compression="zstd")
    start = pq.read_metadata(path).row_group(1).column(1).data_page_offset
    data = bytearray(pathlib.Path(path).read_bytes())
    data[start + 30 : start + 40] = bytes(10)
    pathlib.Path(path).write_bytes(data)
    found = read(path, "v")
    assert len(found) == 30
    assert [not why for why, _ in found] == [True] * 10 + [False] * 10 + [True] * 10
    assert found[10][0].startswith("a row group that cannot be read: ")


def test_too_many_columns_are_refused(tmp_path: pathlib.Path) -> None:
    """(4b)"""
    path = written(tmp_path, {str(i): [1] for i in range(MAX_COLUMNS + 1)})
    with pytest.raises(UsageError, match="it has 10,001 columns; at most 10,000 are carried"):
        columns(path, "uri")


def bomb(folder: pathlib.Path, values: int, size: int) -> str:
    """Write a list of a few kB whose one value of `size` bytes occurs `values` times."""
    long = pa.DictionaryArray.from_arrays(pa.array(np.zeros(values, np.int32)), pa.array(["x" * size]))
    path = written(folder, {"uri": [f"{i}.jpg" for i in range(values)], "v": long}, compression="zstd")
    assert pathlib.Path(path).stat().st_size < 8 * values + 10_000
    return path


def list_bomb(folder: pathlib.Path, values: int, num_rows: int) -> str:
    """Write a list of a few kB, the first of whose rows holds a list of many zeros; the others are empty."""
    ends = np.full(num_rows + 1, values)
    ends[0] = 0
    lists = pa.LargeListArray.from_arrays(pa.array(ends), pa.array(np.zeros(values, np.int8)))
    return written(folder, {"uri": [f"{i}.jpg" for i in range(num_rows)], "v": lists}, compression="zstd")


def test_a_value_that_is_repeated_is_told_without_being_unpacked(tmp_path: pathlib.Path) -> None:
    """(4b)"""
    why = "column 'v': a value of 1,048,577 bytes; at most 1,048,576 are carried"
    assert read(bomb(tmp_path, 5000, CELL_BYTES + 1), "v") == [(why, {})] * 5000


def test_a_list_of_too_many_values_is_told_without_being_unpacked(tmp_path: pathlib.Path) -> None:
    """(4b)"""
    ((why, _),) = read(list_bomb(tmp_path, 3_000_000, 1), "v")
    assert why.startswith("a row group whose rows have 24,000,")


PEAK = """
import resource, sys
from transforms.read.uris import ReadImageUris
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sum(1 for _ in ReadImageUris([sys.argv[1]]).rows()), end=" ")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def rows_and_peak(path: str) -> tuple[int, int]:
    """Read a list in a process of its own; return its rows, and by how many MiB reading raised the peak of memory."""
    result = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)
    found, peak = result.stdout.split()
    return int(found), int(peak)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("values", "size"), [(32_000, CELL_BYTES), (2000, 16 << 20)])
def test_a_small_file_that_unpacks_to_32_gb_takes_no_memory(tmp_path: pathlib.Path, values: int, size: int) -> None:
    """(4b)"""
    found, peak = rows_and_peak(bomb(tmp_path, values, size))
    assert found == values
    assert peak < 512


@pytest.mark.exhaustive
def test_a_list_that_unpacks_to_1_gb_among_short_ones_takes_no_memory(tmp_path: pathlib.Path) -> None:
    """(4b)"""
    found, peak = rows_and_peak(list_bomb(tmp_path, (1 << 27) + 1, 1000))
    assert found == 1000
    assert peak < 512


@pytest.mark.exhaustive
def test_a_line_of_1_gb_takes_no_memory(tmp_path: pathlib.Path) -> None:
    """(4b)"""
    path = tmp_path / "x.jsonl"
    with open(path, "wb") as f:
        f.write(b'{"uri": "')
        for _ in range(1024):
            f.write(b"x" * (1 << 20))
        f.write(b'"}\n{"uri": "a.jpg"}\n')
    found, peak = rows_and_peak(str(path))
    assert found == 2
    assert peak < 512


def test_the_footer_is_read_from_any_file() -> None:
    """The lists of other filesystems are no files of the local disk."""
    from transforms.read.formats.parquet_rows import _without_arrow_schema

    f = io.BytesIO()
    pq.write_table(pa.table({"v": pa.array([[1, 2]], pa.list_(pa.int64(), 2))}), f)
    assert pq.ParquetFile(f, metadata=_without_arrow_schema(f)).read().to_pylist() == [{"v": [1, 2]}]
