"""Rows of a source: uris with their versions, as far as a list or a listing tells them."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.servers.gcs import GcsServer
from transforms import Failure, ReadImageUris
from transforms.core.counters import reset_tally, tally
from transforms.core.errors import UsageError
from transforms.read.rows import read_source


def versions(*inputs: object, version_column: str = "") -> dict[str, str]:
    """Return versions, or reasons for failures, by uri."""
    source = ReadImageUris([str(path) for path in inputs], version_column=version_column)
    rows = [row for one in source.sources for row in read_source(one, source.carried)]
    return dict((row.source.uri, row.reason) if isinstance(row, Failure) else (row.uri, row.version) for row in rows)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", "uri,etag\n/a,007\n/b,\n/c,1.50\n"),
        ("x.tsv", 'uri\tetag\n/a\t007\n/b\t\n/c\t"1.50"\n'),
        ("x.jsonl", '{"uri": "/a", "etag": "007"}\n{"uri": "/b"}\n{"uri": "/c", "etag": "1.50"}\n'),
    ],
)
def test_a_lists_own_column_is_the_version_by_its_text(tmp_path: pathlib.Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert versions(path, version_column="etag") == {"/a": "listed:007", "/b": "", "/c": "listed:1.50"}
    assert versions(path) == {"/a": "", "/b": "", "/c": ""}


def test_a_version_is_a_carried_column_as_well(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("uri,n\n/a,1\n")
    (row,) = ReadImageUris([str(path)], version_column="n").rows()
    assert row
    assert (row.columns, row.version) == ({"n": 1}, "listed:1")


def test_a_column_of_the_name_version_is_kept_beside_it(tmp_path: pathlib.Path) -> None:
    for name, content in (
        ("x.csv", "uri,version,etag\n/a,1,e\n"),
        ("x.jsonl", '{"uri": "/a", "version": 1, "etag": "e"}'),
    ):
        (tmp_path / name).write_text(content)
        for column, version in (("", ""), ("etag", "listed:e"), ("version", "listed:1")):
            (row,) = ReadImageUris([str(tmp_path / name)], version_column=column).rows()
            assert row
            assert (row.columns, row.version) == ({"list_version": 1, "etag": "e"}, version)


def test_a_version_keeps_its_text_whatever_type_other_lists_give_its_column(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.csv").write_text("uri,n\n/a,1\n")
    (tmp_path / "b.csv").write_text("uri,n\n/b,1.5\n")
    assert versions(tmp_path / "*.csv", version_column="n") == {"/a": "listed:1", "/b": "listed:1.5"}


def test_versions_of_parquet_are_the_text_of_their_values(tmp_path: pathlib.Path) -> None:
    times = pa.array([0, None, 1_500_000], pa.timestamp("us"))
    pq.write_table(pa.table({"uri": ["/a", "/b", "/c"], "t": times, "n": [1, None, 3]}), tmp_path / "x.parquet")
    assert versions(tmp_path / "x.parquet", version_column="n") == {"/a": "listed:1", "/b": "", "/c": "listed:3"}
    assert versions(tmp_path / "x.parquet", version_column="t") == {
        "/a": "listed:1970-01-01T00:00:00",
        "/b": "",
        "/c": "listed:1970-01-01T00:00:01.500000",
    }


def test_a_folder_of_a_table_may_state_the_version(tmp_path: pathlib.Path) -> None:
    for day in ("1", "__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / f"day={day}").mkdir()
        pq.write_table(pa.table({"uri": [f"/{day}"]}), tmp_path / f"day={day}" / "x.parquet")
    assert versions(tmp_path, version_column="day") == {"/1": "listed:1", "/__HIVE_DEFAULT_PARTITION__": ""}


def test_a_version_that_is_no_text_is_a_bad_row(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"uri,v\n/a,\xff\n/b,2\n")
    assert versions(path, version_column="v") == {f"{path}#row=1": "bad_row", "/b": "listed:2"}


@pytest.mark.parametrize(
    ("name", "content", "column", "says"),
    [
        ("x.csv", "uri,etag\n/a,1\n", "etga", "has no column 'etga' (did you mean 'etag'?); it has uri, etag; choose"),
        ("x.txt", "/a\n", "v", "has no column 'v' (did you mean 'uri'?); it has uri; choose one with --version_column"),
        ("x.jsonl", '{"uri": "/a", "v": [1]}\n', "v", "holds list<item: int64>, and a version is text"),
    ],
)
def test_a_list_without_the_column_is_refused(
    tmp_path: pathlib.Path, name: str, content: str, column: str, says: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError) as error:
        versions(tmp_path / name, version_column=column)
    assert says.split(" (did")[0] in str(error.value)
    assert "--version_column" in str(error.value)


def test_a_column_without_a_list_is_refused(photos: pathlib.Path) -> None:
    with pytest.raises(UsageError, match="--version_column v names a column, but no --input is a uri list"):
        versions(photos, version_column="v")


def test_a_file_of_the_local_disk_has_no_version_before_it_is_looked_at(photos: pathlib.Path) -> None:
    assert set(versions(photos).values()) == {""}


def test_an_object_has_the_generation_that_its_listing_tells(gcs: GcsServer) -> None:
    one, two = gcs.put("p/a.jpg", b"x"), gcs.put("p/b c/ä#.jpg", b"x")
    gcs.put("p/.hidden/c.jpg", b"x")
    gcs.put("q/a.jpg", b"x")
    first = versions(f"gs://{gcs.bucket}/p")
    assert list(first) == [one, two]
    assert all(version.startswith("generation:") and version[11:].isdigit() for version in first.values())
    gcs.put("p/a.jpg", b"y")
    second = versions(f"gs://{gcs.bucket}/p/**")
    assert second.keys() == first.keys()
    assert second[one] != first[one]
    assert second[two] == first[two]
    # What nobody listed is not known.
    assert versions(one) == {one: ""}


def test_rows_and_sources_are_counted_as_they_are_read(photos: pathlib.Path) -> None:
    reset_tally()
    versions(photos / "a", *photos.glob("b/*.jpg"))
    assert (tally()["uris-read"], tally()["sources-read"]) == (10, 6)
