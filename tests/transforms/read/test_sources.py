"""What an input is, and what is said of one that cannot be used."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.servers.gcs import GcsServer
from transforms.core.errors import UsageError
from transforms.read.sources import NO_PARTITION, find_sources
from transforms.read.uris import ReadImageUris
from transforms.storage import schemes


def table(path: pathlib.Path, **columns: list[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def test_inputs_are_numbered_in_their_order(tmp_path: pathlib.Path) -> None:
    for name in ("a.jpg", "x/b.jpg", "1.csv", "2.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    inputs = ["http://h/a.jpg", tmp_path / "a.jpg", tmp_path / "x", tmp_path / "*.csv", tmp_path / "*.jpg"]
    found = find_sources(map(str, inputs))
    assert [source.kind for source in found] == ["image", "image", "files", "list", "list", "files"]
    assert [source.index for source in found] == list(range(6))
    assert [source.path for source in found[2:5]] == [f"{tmp_path}/{name}" for name in ("x/**", "1.csv", "2.csv")]


@pytest.mark.parametrize("end", ["", "/"])
def test_the_object_with_which_a_console_marks_a_folder_is_no_image(strict_gcs: GcsServer, end: str) -> None:
    uri = strict_gcs.put("photos/a.jpg", b"x")
    for name in ("photos/", "photos/empty/"):
        strict_gcs.put(name, b"")
    source = ReadImageUris([f"gs://{strict_gcs.bucket}/photos{end}"])
    assert [one.kind for one in source.sources] == ["files"]
    assert [row.uri for row in source.rows() if row] == [uri]


@pytest.mark.parametrize("name", ["x.json", "x.tar", "x.zip", "x.csv.xz", "x.xlsx"])
@pytest.mark.parametrize("missing", [False, True])
def test_a_file_of_another_kind_is_refused(tmp_path: pathlib.Path, name: str, missing: bool) -> None:
    """(2e)"""
    if not missing:
        (tmp_path / name).write_text("[]")
    with pytest.raises(UsageError, match=f"--input {tmp_path}/{name} is "):
        find_sources([str(tmp_path / name)])


@pytest.mark.parametrize(("scheme", "extra"), [("hdfs", "hadoop"), ("s3", "aws"), ("azfs", "azure")])
def test_a_scheme_without_its_package_names_it(scheme: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """(2a)"""
    monkeypatch.setattr(schemes.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        UsageError, match=rf"nothing here reads {scheme}://b/x; run: pip install 'apache-beam\[{extra}\]'"
    ):
        find_sources([f"{scheme}://b/x"])


def test_a_folder_of_parquet_is_a_list_with_its_folders_as_columns(tmp_path: pathlib.Path) -> None:
    """(2e) As Hive, Spark and Arrow leave tables; each file was taken for an image."""
    table(tmp_path / "t" / "label=big cat" / "n=1" / "p.parquet", uri=["a.jpg"], x=[1])
    table(tmp_path / "t" / "label=a%2Fb" / "n=2" / "p.pq", uri=["/b.jpg"], x=[2])
    table(tmp_path / "t" / f"label={NO_PARTITION}" / "n=007" / "p.parquet", uri=["http://h/c.jpg"], x=[0.5])
    (tmp_path / "t" / "_SUCCESS").touch()
    source = ReadImageUris([str(tmp_path / "t")])
    assert source.columns == pa.schema([("x", pa.float64()), ("label", pa.string()), ("n", pa.string())])
    rows = {row.uri: row.columns for row in source.rows() if row}
    assert rows == {
        f"{tmp_path}/t/a.jpg": {"x": 1.0, "label": "big cat", "n": "1"},
        "/b.jpg": {"x": 2.0, "label": "a/b", "n": "2"},
        "http://h/c.jpg": {"x": 0.5, "label": None, "n": "007"},
    }


def test_a_folder_states_its_columns_even_if_the_file_has_them(tmp_path: pathlib.Path) -> None:
    table(tmp_path / "t" / "n=1" / "p.parquet", uri=["/a.jpg"], n=[5])
    source = ReadImageUris([str(tmp_path / "t")])
    assert [row and row.columns for row in source.rows()] == [{"n": 1}]


def test_a_folder_that_states_the_column_of_uris_is_refused(tmp_path: pathlib.Path) -> None:
    """(2e) It was passed over, though folders state their columns even if the file has them."""
    table(tmp_path / "t" / "uri=q" / "p.parquet", uri=["/a.jpg"], url=["/b.jpg"])
    with pytest.raises(UsageError, match=r"p\.parquet lies in a folder uri=\.\.\., which states .*; rename the folder"):
        ReadImageUris([str(tmp_path / "t")])
    assert [row and row.columns for row in ReadImageUris([str(tmp_path / "t")], "url").rows()] == [{"list_uri": "q"}]


def test_a_folder_with_one_other_file_is_a_folder_of_images(tmp_path: pathlib.Path) -> None:
    table(tmp_path / "t" / "a.parquet", uri=["/a.jpg"])
    (tmp_path / "t" / "b.jpg").touch()
    assert [source.kind for source in find_sources([str(tmp_path / "t")])] == ["files"]


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """(2b)"""

    def scandir(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", scandir)
    with pytest.raises(UsageError, match=f"cannot list --input {tmp_path}: may not be read"):
        find_sources([str(tmp_path)])
