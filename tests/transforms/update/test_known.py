"""What files hold is known as it was written; a part that is not whole counts for nothing."""

import datetime
import gzip
import json
import pathlib
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import collection_files as files
from transforms.collection.values import to_python
from transforms.core.elements import Embedding
from transforms.core.uri_sum import uri_hash
from transforms.update.known import Known, KnownFile, ReadKnown, carried_hash, known_of
from transforms.update.outcomes import Held, HeldFailure, HeldRow
from transforms.update.rows import Rows, hash8

VERSIONS = ["generation:1", "etag:x", "last-modified:noon", "mtime:1,size:2", "listed:etag:x", ""]
ROWS = [files.embedding(f"/{i}.jpg", version, label=i) for i, version in enumerate(VERSIONS)]


def written(folder: pathlib.Path, name: str, rows: list[Embedding], is_part: bool = False) -> KnownFile:
    path = files.write(files.FORMATS[name](), folder / f"{len(list(folder.iterdir()))}.{name}", rows)
    return KnownFile(path, is_part, name)


def told(rows: Rows) -> dict[bytes, tuple[Any, ...]]:
    values = (rows.version, rows.carried, rows.sha256, rows.file, rows.asked)
    return dict(zip(rows.uris.all(), zip(*(value.tolist() for value in values), strict=True), strict=True))


@pytest.mark.parametrize("name", files.FORMATS)
@pytest.mark.parametrize("is_part", [False, True])
def test_rows_are_known_by_hashes_and_by_the_version_that_has_to_be_asked_about(
    name: str, is_part: bool, tmp_path: pathlib.Path
) -> None:
    format_ = files.FORMATS[name]()
    found = known_of(7, written(tmp_path, name, ROWS, is_part), {name: format_})
    assert told(found.parts if is_part else found.rows) == {
        uri_hash(row.source.uri): (
            hash8(row.source.version),
            carried_hash(format_.comparable(row.source.columns)),
            int(row.facts.sha256[:16], 16),
            7,
            row.source.version if i < 3 else "",
        )
        for i, row in enumerate(ROWS)
    }
    assert len(found.rows if is_part else found.parts) == len(found.failures) == 0


def test_failures_are_known_with_their_version_and_whether_another_attempt_may_help(tmp_path: pathlib.Path) -> None:
    lost = [
        files.failure("/a", "etag:1", "transient"),
        files.failure("/b", stage="read"),
        files.failure("/c", "generation:3"),
    ]
    path = files.write_failures(tmp_path / "failures.jsonl", lost)
    for is_part in (False, True):
        assert known_of(3, KnownFile(path, is_part, ""), {}).failures == {
            uri_hash("/a"): HeldFailure("etag:1", transient=True, file=3, is_part=is_part),
            uri_hash("/b"): HeldFailure("", transient=False, file=3, is_part=is_part, of_list=True),
            uri_hash("/c"): HeldFailure("generation:3", transient=False, file=3, is_part=is_part),
        }


def cut_off(name: str, whole: bytes) -> list[bytes]:
    """Return a file as it is if its writer dies, ended within a row.

    A TFRecord that ends between two rows reads like a whole one; the plan of a run compares sizes.
    """
    if name == "tfrecord":
        return [gzip.compress(gzip.decompress(whole)[:-missing]) for missing in (1, 20)]
    return [whole[:length] for length in (1, 2 * len(whole) // 5, len(whole) - 12, len(whole) - 2)]


@pytest.mark.parametrize("name", ["parquet", "tfrecord", ""])
def test_a_part_that_is_cut_off_holds_nothing_and_a_standing_file_is_an_error(
    name: str, tmp_path: pathlib.Path
) -> None:
    """Its run died while it wrote. (1f)"""
    if name:
        path = pathlib.Path(written(tmp_path, name, ROWS).path)
    else:
        path = pathlib.Path(files.write_failures(tmp_path / "lost.jsonl", [files.failure("/a"), files.failure("/b")]))
    formats = {name: files.FORMATS[name]()} if name else {}
    for content in cut_off(name, path.read_bytes()):
        path.write_bytes(content)
        part = known_of(0, KnownFile(str(path), True, name), formats)
        assert (len(part.rows), len(part.parts), part.failures) == (0, 0, {}), len(content)
        with pytest.raises((OSError, ValueError)):
            known_of(0, KnownFile(str(path), False, name), formats)


def test_a_part_that_is_gone_holds_nothing(tmp_path: pathlib.Path) -> None:
    gone = str(tmp_path / "gone")
    for name in ("parquet", ""):
        assert len(known_of(0, KnownFile(gone, True, name), {"parquet": files.parquet()}).parts) == 0
        with pytest.raises(FileNotFoundError):
            known_of(0, KnownFile(gone, False, name), {"parquet": files.parquet()})


def test_what_stands_counts_before_what_a_part_says() -> None:
    stands, part = HeldFailure("etag:1", False, 0), HeldFailure("etag:2", False, 1, is_part=True)
    nothing = Known.all([])
    for failures in ([{b"a": stands}, {b"a": part}], [{b"a": part}, {b"a": stands}]):
        assert Known.all([Known(nothing.rows, nothing.parts, one) for one in failures]).failures == {b"a": stands}


def test_all_that_is_there_for_uris_is_given_together(tmp_path: pathlib.Path) -> None:
    format_ = files.parquet()
    known = Known.all(
        [
            known_of(0, written(tmp_path, "parquet", ROWS[:2]), {"parquet": format_}),
            known_of(1, written(tmp_path, "parquet", ROWS[1:3], is_part=True), {"parquet": format_}),
            Known(Known.all([]).rows, Known.all([]).parts, {uri_hash("/9"): HeldFailure("", False, 2)}),
        ]
    )
    uris = [row.source.uri for row in ROWS[:3]] + ["/9", "/none"]
    carried = [carried_hash(format_.comparable({"label": label})) for label in (0, 9, 2, None, None)]

    def row(i: int, same_columns: bool, file: int) -> HeldRow:
        sha256 = int(ROWS[i].facts.sha256[:16], 16)
        return HeldRow(hash8(VERSIONS[i]), same_columns, sha256, file, VERSIONS[i])

    assert known.held(list(map(uri_hash, uris)), carried) == [
        Held(row=row(0, True, 0)),
        Held(row=row(1, False, 0), part=row(1, False, 1)),
        Held(part=row(2, True, 1)),
        Held(failure=HeldFailure("", False, 2)),
        Held(),
    ]


TYPES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float64(), st.floats()),
    (pa.float32(), st.floats(width=32)),
    (pa.bool_(), st.booleans()),
    (pa.string(), st.text(st.characters(codec="utf-8"))),
    (pa.binary(), st.binary()),
    (pa.list_(pa.float64()), st.lists(st.none() | st.floats())),
    (
        pa.struct([("x", pa.int64()), ("y", pa.list_(pa.string()))]),
        st.fixed_dictionaries({"x": st.integers(0, 9), "y": st.none()}),
    ),
    (
        pa.map_(pa.string(), pa.int64()),
        st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers(0, 9)).map(lambda d: list(d.items())),
    ),
    (
        pa.timestamp("us", "UTC"),
        st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2200, 1, 1), timezones=st.just(datetime.UTC)),
    ),
    (pa.timestamp("ns"), st.integers(-(2**62), 2**62)),
    (pa.timestamp("s", "Mars/Phobos"), st.integers(0, 2**32)),
    (pa.date32(), st.dates()),
    (
        pa.duration("ms"),
        st.timedeltas(datetime.timedelta(0), datetime.timedelta(9)).map(
            lambda t: datetime.timedelta(seconds=t.seconds)
        ),
    ),
    (pa.decimal128(6, 2), st.decimals(-999, 999, places=2)),
]


@pytest.mark.parametrize("name", files.FORMATS)
@settings(max_examples=15)
@given(data=st.data())
def test_unchanged_columns_of_any_type_are_the_same_in_a_file_and_in_a_list(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Else a row would be written again each night."""
    carried = pa.schema([(str(i), type_) for i, (type_, _) in enumerate(TYPES)])
    drawn = [data.draw(st.lists(st.none() | values, min_size=3, max_size=3)) for _, values in TYPES]
    columns = [to_python(pa.array(values, field.type)) for field, values in zip(carried, drawn, strict=True)]
    rows = [
        files.embedding(str(i), **{field.name: values[i] for field, values in zip(carried, columns, strict=True)})
        for i in range(3)
    ]
    format_ = files.FORMATS[name](carried)
    path = files.write(format_, tmp_path_factory.mktemp("file") / "rows", rows)
    found = [carried_hash(value) for keys in format_.keys(path) for value in keys.carried]
    assert found == [carried_hash(format_.comparable(row.source.columns)) for row in rows]


@pytest.mark.parametrize("name", files.FORMATS)
def test_other_columns_are_told_and_no_columns_are_always_the_same(name: str) -> None:
    format_, bare = files.FORMATS[name](), files.FORMATS[name](pa.schema([]))
    hashes = [carried_hash(format_.comparable({"label": label})) for label in (None, 0, 1)]
    assert len({*hashes, 0}) == 4
    assert carried_hash(bare.comparable({"label": 1})) == 0


def test_a_pipeline_knows_all_files_at_once(tmp_path: pathlib.Path) -> None:
    found = [
        written(tmp_path, "parquet", ROWS[:4]),
        written(tmp_path, "parquet", ROWS[3:], is_part=True),
        KnownFile(files.write_failures(tmp_path / "failures.jsonl", [files.failure("/lost")]), False, ""),
    ]

    def check(values: list[Known]) -> None:
        (known,) = values
        assert (len(known.rows), len(known.parts), list(known.failures)) == (4, 3, [uri_hash("/lost")])
        assert sorted(np.concatenate([known.rows.file, known.parts.file]).tolist()) == [0, 0, 0, 0, 1, 1, 1]

    with beam.Pipeline(FnApiRunner()) as root:
        assert_that(root | ReadKnown(found, {"parquet": files.parquet()}), check)


def test_a_pipeline_of_no_files_knows_nothing() -> None:
    def check(values: list[Known]) -> None:
        (known,) = values
        assert (len(known.rows), len(known.parts), known.failures) == (0, 0, {})

    with beam.Pipeline(FnApiRunner()) as root:
        assert_that(root | ReadKnown([], {}), check)


def test_a_line_of_failures_of_an_earlier_version_has_no_version(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "failures.jsonl"
    path.write_text(json.dumps({"uri": "/a", "stage": "decode", "kind": "permanent"}) + "\n")
    assert known_of(0, KnownFile(str(path), False, ""), {}).failures[uri_hash("/a")].version == ""
