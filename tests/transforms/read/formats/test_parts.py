"""Parts of a list, read one after the other, are the list: no row is lost, doubled or numbered wrong."""

import gzip
import io
import json
import pathlib
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.servers.gcs import GcsServer
from transforms.read.formats import blocks, csv_rows, json_rows, parquet_rows, parts, plain_rows
from transforms.read.formats.parts import FoundParts, Joined, Part
from transforms.read.rows import read_source
from transforms.read.sources import in_parts
from transforms.read.uris import ReadImageUris

FORMATS = {"txt": plain_rows, "csv": csv_rows, "tsv": csv_rows, "jsonl": json_rows, "parquet": parquet_rows}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a few rows."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 64)
    monkeypatch.setattr(parts, "PART_BYTES", 150)
    monkeypatch.setattr(parquet_rows, "PART_BYTES", 150)


def content(format_: str, number: int) -> bytes:
    """Return a list of rows, some of which are none."""
    if format_ == "parquet":
        f = io.BytesIO()
        uris = [f"/{i}.jpg" if i % 7 else None for i in range(number)]
        pq.write_table(pa.table({"uri": uris, "n": range(number)}), f, row_group_size=10)
        return f.getvalue()
    lines = {
        "txt": ["# comment", "", *(f"/ä{i}.jpg" for i in range(number))],
        "csv": ["uri,n", *(f"/{i}.jpg,{i}" if i % 7 else f"/{i},\n" for i in range(number))],
        "tsv": ["\ufeffuri\tn", *(f'"/{i}.jpg"\t"{i}"' if i % 7 else f"/{i}" for i in range(number))],
        "jsonl": [json.dumps({"uri": f"/{i}.jpg", "n": i}) if i % 7 else f"[{i}]\r" for i in range(number)],
    }[format_]
    return "\n".join(lines).encode()


def rows(path: str, *, divided: bool) -> list[object]:
    source = ReadImageUris([path])
    sources = in_parts(source.sources, source.carried.parts) if divided else source.sources
    assert (len(sources) > 1) is divided
    assert [one.index for one in sources] == list(range(len(sources)))
    return [row for one in sources for row in read_source(one, source.carried)]


@pytest.mark.parametrize("format_", FORMATS)
def test_the_rows_of_all_parts_are_those_of_the_list(tmp_path: pathlib.Path, format_: str) -> None:
    path = tmp_path / f"x.{format_}"
    path.write_bytes(content(format_, 100))
    found = rows(str(path), divided=True)
    assert found == rows(str(path), divided=False)
    assert len(found) == 100


@pytest.mark.parametrize("format_", FORMATS)
def test_parts_of_an_object_are_read_by_themselves(strict_gcs: GcsServer, format_: str) -> None:
    uri = strict_gcs.put(f"p/x.{format_}", content(format_, 100))
    assert rows(uri, divided=True) == rows(uri, divided=False)


def test_the_footer_of_parquet_is_read_without_the_rest(strict_gcs: GcsServer) -> None:
    f = io.BytesIO()
    values = [f"{i * 7919}" * 20 for i in range(200_000)]
    pq.write_table(pa.table({"uri": values}), f, use_dictionary=False, compression="none", row_group_size=50_000)
    uri = strict_gcs.put("x.parquet", f.getvalue())
    assert len(f.getvalue()) > 8 << 20
    strict_gcs.log.clear()
    found = parquet_rows.columns(uri, "uri")
    assert (found.num_rows, len(found.parts)) == (200_000, 4)
    assert strict_gcs.asked() <= 3


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.csv.gz", None),
        ("x.csv", 'uri,n\n/a,"1\n"\n' + "/b,2\n" * 100),
        ("x.csv", "uri,n\r" + "/b,2\r" * 100),
        ("x.csv", ("uri,n\n" + "/b,2\n" * 100).encode("utf-16")),
        ("x.txt", "/a\n"),
    ],
    ids=["compressed", "a quoted line end", "no line feeds", "UTF-16", "small"],
)
def test_what_nobody_can_begin_in_the_midst_of_is_read_by_one(
    tmp_path: pathlib.Path, name: str, data: str | bytes | None
) -> None:
    path = tmp_path / name
    data = b"" if data is None else data
    if name.endswith(".gz"):
        data = gzip.compress(content("csv", 100))
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    assert ReadImageUris([str(path)]).carried.parts == {str(path): ()}


def test_csv_is_divided_before_a_quoted_line_end(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content("csv", 100) + b'\n/z,"1\n2"\n' + b"/y,3\n" * 200)
    assert rows(str(path), divided=True) == rows(str(path), divided=False)


def test_a_list_that_changed_is_not_read_in_parts(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(content("txt", 100))
    source = ReadImageUris([str(path)])
    path.write_bytes(content("txt", 100).replace(b"/", b"."))
    first = in_parts(source.sources, source.carried.parts)[0]
    with pytest.raises(OSError, match="a uri list changed while it was read, or came corrupted"):
        list(read_source(first, source.carried))


def test_blocks_are_gathered_until_they_are_a_part() -> None:
    found = FoundParts(b"head")
    for i in range(5):
        found.add(3 + 100 * i, b"x" * 100, 10 * i)
    crc32 = zlib.crc32(b"x" * 200)
    assert found.end(503, 50) == (
        Part(3, 203, 0, b"head", crc32),
        Part(203, 403, 20, b"head", crc32),
        Part(403, None, 40, b"head"),
    )
    assert FoundParts().end(3, 0) == ()


@pytest.mark.parametrize("size", [None, 3])
def test_a_file_behind_a_head_ends_at_its_size(size: int | None) -> None:
    f = io.BytesIO(b"abcdef")
    f.seek(1)
    assert io.BufferedReader(Joined(b"head", f, size)).read() == (b"headbcd" if size else b"headbcdef")
