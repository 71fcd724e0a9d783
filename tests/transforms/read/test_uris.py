"""Uris: what each input gives, once, with its columns, and what is said of an input that gives nothing."""

import gzip
import os
import pathlib
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from transforms import Failure, ImageUri, ReadImageUris
from transforms.core.errors import UsageError
from transforms.core.uri_sum import UriSum
from transforms.read.rows import read_source
from transforms.read.sources import find_sources
from transforms.storage.paths import canonical_uri


def read(*inputs: object, uri_column: str = "uri") -> list[ImageUri | None]:
    """Read inputs as a run does before Beam: with duplicates, and None for a row without a uri."""
    return list(ReadImageUris([str(path) for path in inputs], uri_column).rows())


def uris(*inputs: object) -> list[str]:
    return [row.uri for row in read(*inputs) if row]


def refused(*inputs: object, uri_column: str = "uri") -> str:
    with pytest.raises(UsageError) as error:
        read(*inputs, uri_column=uri_column)
    assert "\n" not in str(error.value)
    return str(error.value)


def files(folder: pathlib.Path, *names: str) -> list[str]:
    """Make empty files; return their absolute paths."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [str(folder / name) for name in names]


def test_an_image_is_its_absolute_path(photos: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    assert uris("a/1.jpg") == uris(photos / "a" / "1.jpg") == [str(photos / "a" / "1.jpg")]


def test_a_file_uri_is_a_local_path(photos: pathlib.Path) -> None:
    assert uris(f"file://{photos}/a/1.jpg", f"file://localhost{photos}/b") == [
        str(photos / "a" / "1.jpg"),
        *(str(photos / "b" / f"{i}.jpg") for i in range(0, 10, 2)),
    ]


@pytest.mark.parametrize("end", ["", "/"])
def test_a_folder_gives_all_below_it_in_order(photos: pathlib.Path, end: str) -> None:
    expected = [str(photos / "a" / f"{i}.jpg") for i in range(1, 10, 2)]
    expected += [str(photos / "b" / f"{i}.jpg") for i in range(0, 10, 2)]
    assert uris(f"{photos}{end}") == expected


def test_hidden_files_and_folders_are_left_out(tmp_path: pathlib.Path) -> None:
    shown = files(tmp_path / ".root", "a.jpg", "b/c/d.jpg")
    files(tmp_path / ".root", ".a.jpg", "b/.c.jpg", ".git/a.jpg", "b/.thumbs/c/a.jpg")
    assert uris(tmp_path / ".root") == shown


def test_a_glob_gives_what_it_matches(photos: pathlib.Path) -> None:
    assert uris(photos / "*" / "[1-4].jpg") == [str(photos / f) for f in ("a/1.jpg", "a/3.jpg", "b/2.jpg", "b/4.jpg")]
    assert uris(photos / "**" / "7.jpg") == [str(photos / "a" / "7.jpg")]


def test_a_glob_of_uri_lists_is_read_as_uri_lists(tmp_path: pathlib.Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(f"uri,label\n{name}.jpg,{name}\n")
    assert read(tmp_path / "*.csv") == [ImageUri(str(tmp_path / f"{name}.jpg"), {"label": name}) for name in "ab"]


def test_a_folder_of_a_name_with_wildcards_is_a_folder(tmp_path: pathlib.Path) -> None:
    (one,) = files(tmp_path, "photos [1]*/a.jpg")
    assert uris(tmp_path / "photos [1]*") == [one]


ODD_NAMES = ["a b.jpg", "a#1.jpg", "100%.jpg", "a%20b.jpg", "Käse.jpg", "a?b=c.jpg", "🧀.jpg", "'\".jpg", "-a.jpg"]


def test_odd_names_are_kept_as_they_are(tmp_path: pathlib.Path) -> None:
    expected = sorted(files(tmp_path / "odd", *ODD_NAMES))
    assert uris(tmp_path / "odd") == expected
    assert uris(*expected) == expected
    (tmp_path / "odd" / "list.txt").write_text("\n".join(f"./{name}" for name in ODD_NAMES))
    assert sorted(uris(tmp_path / "odd" / "list.txt")) == expected


def test_a_name_that_is_no_utf8_is_a_percent_encoded_uri(tmp_path: pathlib.Path) -> None:
    path = os.fsencode(tmp_path) + b"/f%/\xfc \xc3\xa4.jpg"
    os.mkdir(os.path.dirname(path))
    with open(path, "wb"):
        pass
    expected = f"file://{tmp_path}/f%25/%FC%20%C3%A4.jpg"
    assert uris(tmp_path / "f%") == [expected]
    assert canonical_uri(expected) == expected


@pytest.mark.parametrize(
    "name", ["m.txt", "m.csv", "m.tsv", "m.jsonl", "m.txt.gz", "m.csv.gz", "m.tsv.gz", "m.jsonl.gz"]
)
def test_each_uri_list_gives_its_uris_against_its_folder(tmp_path: pathlib.Path, name: str) -> None:
    names = ["a b.jpg", "../c#1.jpg", "/abs/100%.jpg", "https://example.org/ä.jpg"]
    content = {
        "txt": "# comment\n\n" + "".join(f"{uri}\n" for uri in names),
        "csv": "uri\n" + "".join(f"{uri}\n\n" for uri in names),
        "tsv": "uri\n" + "".join(f"{uri}\n" for uri in names),
        "jsonl": "".join(f'\n{{"uri": "{uri}"}}\n' for uri in names),
    }[name.split(".")[1]].encode()
    path = tmp_path / "lists" / name
    path.parent.mkdir()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    folder = str(tmp_path)
    assert uris(path) == [f"{folder}/lists/a b.jpg", f"{folder}/c#1.jpg", *names[2:]]


def test_a_uri_list_of_parquet_carries_its_columns(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table({"image": ["a.jpg", "b.jpg"], "tags": [["x"], []], "n": pa.array([1, None])}), path)
    assert read(path, uri_column="image") == [
        ImageUri(str(tmp_path / "a.jpg"), {"tags": ["x"], "n": 1}),
        ImageUri(str(tmp_path / "b.jpg"), {"tags": [], "n": None}),
    ]
    columns = ReadImageUris([str(path)], "image").columns
    assert columns == pa.schema([("tags", pa.list_(pa.string())), ("n", pa.int64())])


def test_several_inputs_keep_their_order_and_share_one_schema(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "1.csv").write_text("uri,v,width\nx.jpg,1,9\n")
    (tmp_path / "2.jsonl").write_text('{"uri": "y.jpg", "v": 0.5}\n')
    inputs = [str(tmp_path / "2.jsonl"), str(photos / "b" / "*.jpg"), str(tmp_path / "1.csv"), "http://h/z.jpg"]
    assert [source.kind for source in find_sources(inputs)] == ["list", "files", "list", "image"]
    columns = ReadImageUris(inputs).columns
    assert columns == pa.schema([("v", pa.float64()), ("list_width", pa.int64())])
    found = read(*inputs)
    assert [found[0], *found[-2:]] == [
        ImageUri(str(tmp_path / "y.jpg"), {"v": 0.5}),
        ImageUri(str(tmp_path / "x.jpg"), {"v": 1.0, "list_width": 9}),
        ImageUri("http://h/z.jpg"),
    ]
    assert len(found) == 8


def test_the_number_of_inputs_is_known_unless_files_have_to_be_listed(
    photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "1.csv").write_text("uri,v\nx.jpg,1\ny.jpg\n")
    inputs = [str(tmp_path / "1.csv"), "http://h/z.jpg"]
    assert ReadImageUris(inputs).num_inputs == 3
    assert ReadImageUris([*inputs, str(photos)]).num_inputs is None


def by_reason(failure: Any) -> tuple[str, str, str]:
    return failure.source.uri, failure.stage, failure.reason


def test_a_repeated_uri_is_one_image_with_its_first_columns(tmp_path: pathlib.Path) -> None:
    (image,) = files(tmp_path, "a.jpg")
    (tmp_path / "m.csv").write_text("uri,n\na.jpg,1\n./a.jpg,2\nb.jpg,3\n")
    with beam.Pipeline(FnApiRunner()) as p:
        found, unread, counts = p | ReadImageUris([str(tmp_path / "m.csv"), image])
        expected = [ImageUri(image, {"n": 1}), ImageUri(str(tmp_path / "b.jpg"), {"n": 3})]
        assert_that(found, equal_to(expected), label="uris")
        assert_that(unread, equal_to([]), label="unread")
        inputs = UriSum.of([image, image, image, str(tmp_path / "b.jpg")])
        expected_counts = [("inputs", inputs), ("duplicates", UriSum.of([image, image]))]
        assert_that(counts, equal_to(expected_counts), label="counts")


def test_rows_that_cannot_be_read_are_failures_and_inputs(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("n,uri\n1,a.jpg\n2,\n3\n")
    with beam.Pipeline(FnApiRunner()) as p:
        found, unread, counts = p | ReadImageUris([str(path)])
        assert_that(found, equal_to([ImageUri(str(tmp_path / "a.jpg"), {"n": 1})]), label="uris")
        lost = [(f"{path}#row=2", "read", "no_uri"), (f"{path}#row=3", "read", "bad_row")]
        assert_that(unread | beam.Map(by_reason), equal_to(lost), label="unread")
        inputs = UriSum.of([str(tmp_path / "a.jpg"), f"{path}#row=2", f"{path}#row=3"])
        assert_that(counts, equal_to([("inputs", inputs)]), label="counts")


def test_entries_that_cannot_be_looked_at_are_failures_and_inputs(tmp_path: pathlib.Path) -> None:
    """(2b) They were missing from the counts."""
    (image,) = files(tmp_path, "a.jpg")
    gone = tmp_path / "gone.jpg"
    gone.symlink_to(tmp_path / "nothing")
    with beam.Pipeline(FnApiRunner()) as p:
        found, unread, counts = p | ReadImageUris([str(tmp_path)])
        assert_that(found, equal_to([ImageUri(image)]), label="uris")
        assert_that(unread | beam.Map(by_reason), equal_to([(str(gone), "read", "not_found")]), label="unread")
        assert_that(counts, equal_to([("inputs", UriSum.of([image, str(gone)]))]), label="counts")


def outcomes(path: pathlib.Path) -> list[tuple[str, str]]:
    """Return the uri of each row of a list, with the reason where it is lost."""
    source = ReadImageUris([str(path)])
    found = [row for one in source.sources for row in read_source(one, source.carried)]
    return [by_reason(row)[::2] if isinstance(row, Failure) else (row.uri, "") for row in found]


def test_white_space_around_a_uri_is_no_part_of_it(tmp_path: pathlib.Path) -> None:
    """(2d) A space before it made a local path of it. Names that end in white space are file:// uris, which keep it."""
    path = tmp_path / "m.csv"
    path.write_text('uri\n http://h/a.jpg\n" /a.jpg\t"\n"  "\nfile:///b.jpg%20\n')
    assert outcomes(path) == [
        ("http://h/a.jpg", ""),
        ("/a.jpg", ""),
        (f"{path}#row=3", "no_uri"),
        ("file:///b.jpg%20", ""),
    ]
    (odd,) = files(tmp_path, "odd/a.jpg ")
    assert uris(tmp_path / "odd") == [f"file://{odd.rstrip()}%20"]


def test_a_uri_of_bytes_is_its_text(tmp_path: pathlib.Path) -> None:
    """(2a, 2d) It became b'...', and one that is no UTF-8 failed the run."""
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table({"uri": pa.array([b"/a.jpg", b"file:///\xfc.jpg", b"/\xfc.jpg", None], pa.binary())}), path)
    lost = (f"{path}#row=4", "no_uri")
    assert outcomes(path) == [("/a.jpg", ""), ("file:///%FC.jpg", ""), ("file:///%FC.jpg", ""), lost]


def test_a_row_whose_uri_is_none_is_told(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"uri": ["a.jpg"]}\n{"uri": "a.jpg"}\n{"uri": {}}\n{"uri": 7}\n')
    lost = [(f"{path}#row={i}", "bad_row") for i in (1, 3)]
    assert outcomes(path) == [lost[0], (f"{tmp_path}/a.jpg", ""), lost[1], (f"{tmp_path}/7", "")]


def test_a_list_whose_name_is_no_utf8_is_read(tmp_path: pathlib.Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"\xfc.csv")
    with open(path, "wb") as f:
        f.write(b"uri,v\n/a.jpg,1\n/b.jpg\n")
    assert outcomes(pathlib.Path(os.fsdecode(path))) == [
        ("/a.jpg", ""),
        (f"file://{tmp_path}/%FC.csv#row=2", "bad_row"),
    ]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("{folder}/none.jpg", "nothing matches --input {folder}/none.jpg; check the path, or quote the glob"),
        ("{folder}/*.gif", "nothing matches --input {folder}/*.gif; check the path"),
        ("{folder}/empty", "nothing matches --input {folder}/empty"),
        ("htp://h/a.jpg", "no filesystem reads htp://h/a.jpg: unknown scheme 'htp' (did you mean 'http'?)"),
        ("xyzzy://h/a.jpg", "no filesystem reads xyzzy://h/a.jpg: unknown scheme 'xyzzy'"),
        (
            "{folder}/url.csv",
            "url.csv has no column 'uri' (did you mean 'url'?); it has url, n; choose one with --uri_col",
        ),
        ("{folder}/empty.csv", "the uri list {folder}/empty.csv has no rows"),
        ("{folder}/broken.parquet", "cannot read the uri list {folder}/broken.parquet"),
    ],
)
def test_an_input_that_gives_nothing_is_refused_at_once(tmp_path: pathlib.Path, path: str, says: str) -> None:
    files(tmp_path, "a.jpg", "empty/.hidden", "empty.csv")
    (tmp_path / "url.csv").write_text("url,n\na.jpg,1\n")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    assert says.format(folder=tmp_path) in refused(tmp_path / "a.jpg", path.format(folder=tmp_path))
