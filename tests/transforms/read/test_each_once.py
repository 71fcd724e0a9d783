"""Each uri once, with the columns of its first row, whether one process reads all or several share the sources."""

import itertools
import json
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms import Failure, ImageUri, ReadImageUris
from transforms.core.counters import reset_tally, tally
from transforms.core.uri_sum import UriSum
from transforms.read.each_once import AHEAD_LIMIT, AHEAD_STEP, ahead, read_in_order
from transforms.read.formats import blocks, parts

FOUND: dict[str, list[Any]] = {}
"""What the pipeline of a test gave, by output."""

Counters = dict[str, int]


def keep(element: Any, name: str) -> None:
    FOUND[name].append(element)


def found(*inputs: object, one_reader: bool, version_column: str = "") -> tuple[dict[str, list[Any]], Counters]:
    """Read inputs by a pipeline; return what each output gave, and the counters."""
    FOUND.update(uris=[], unread=[], counts=[])
    reset_tally()
    with beam.Pipeline(FnApiRunner()) as root:
        read = ReadImageUris([str(path) for path in inputs], version_column=version_column, one_reader=one_reader)
        for name, output in (root | read)._asdict().items():
            _ = output | f"keep {name}" >> beam.Map(keep, name)
    counters = tally()
    for name in ("uris-read", "sources-found", "sources-read"):
        assert counters[name]
    return {name: list(values) for name, values in FOUND.items()}, counters


def lists(folder: pathlib.Path, rows: list[list[tuple[str, str]]]) -> list[str]:
    """Write JSON lines of (uri, version), each with a number of its own; return their paths."""
    numbers = itertools.count()
    paths = [folder / f"{i}.jsonl" for i in range(len(rows))]
    for path, its in zip(paths, rows, strict=True):
        path.write_text("".join(json.dumps({"uri": u, "v": v, "n": next(numbers)}) + "\n" for u, v in its))
    return list(map(str, paths))


ROWS = st.lists(
    st.lists(st.tuples(st.sampled_from(["", "/a", "/b", "/c", "/./a"]), st.sampled_from(["", "1", "2"])), min_size=1),
    min_size=1,
    max_size=4,
)


def expected(paths: list[str], rows: list[list[tuple[str, str]]]) -> tuple[list[ImageUri], set[str], UriSum, UriSum]:
    """Read rows without the code under test; return the uris, the lost ones, and the sums of inputs and duplicates."""
    first: dict[str, ImageUri] = {}
    inputs, lost, repeated = [], set(), []
    numbers = itertools.count()
    for path, its in zip(paths, rows, strict=True):
        for row, (uri, version) in enumerate(its, 1):
            n, uri = next(numbers), uri.replace("/./", "/") or f"{path}#row={row}"
            inputs.append(uri)
            if "#row=" in uri:
                lost.add(uri)
            elif uri in first:
                repeated.append(uri)
            else:
                first[uri] = ImageUri(uri, {"v": version, "n": n}, f"listed:{version}" if version else "")
    return list(first.values()), lost, UriSum.of(inputs), UriSum.of(repeated)


@given(ROWS)
@settings(max_examples=8)
def test_one_reader_gives_what_a_grouping_gives(rows: list[list[tuple[str, str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        # Lists of a few rows are read in parts, too.
        patch.setattr(blocks, "BLOCK_BYTES", 50)
        patch.setattr(parts, "PART_BYTES", 50)
        paths = lists(pathlib.Path(folder), rows)
        both = [found(*paths, one_reader=one, version_column="v") for one in (True, False)]
        uris, lost, inputs, repeated = expected(paths, rows)
    for outputs, counters in both:
        assert sorted(outputs["uris"], key=lambda row: row.uri) == sorted(uris, key=lambda row: row.uri)
        assert {failure.source.uri for failure in outputs["unread"]} == lost
        assert all(isinstance(failure, Failure) for failure in outputs["unread"])
        assert dict(outputs["counts"]) == {
            "inputs": inputs,
            **({"duplicates": repeated} if repeated.count else {}),
        }
        assert counters.get("uris-repeated", 0) == repeated.count
    assert both[0][0]["uris"] == uris
    assert both[0][1].get("uris-in-two-versions") == both[1][1].get("uris-in-two-versions")


@pytest.mark.parametrize("one_reader", [True, False])
def test_a_uri_in_two_versions_is_counted(tmp_path: pathlib.Path, one_reader: bool) -> None:
    rows = [[("/a", "1"), ("/b", ""), ("/a", "1")], [("/a", "2"), ("/b", "2"), ("/a", ""), ("/a", "3")]]
    outputs, counters = found(*lists(tmp_path, rows), one_reader=one_reader, version_column="v")
    assert {row.uri: row.version for row in outputs["uris"]} == {"/a": "listed:1", "/b": ""}
    assert (counters["uris-repeated"], counters["uris-in-two-versions"]) == (5, 2)


@pytest.mark.parametrize("one_reader", [True, False])
def test_what_is_lost_twice_is_lost_once_and_a_duplicate(tmp_path: pathlib.Path, one_reader: bool) -> None:
    for name in ("a.jpg", "b.mov"):
        (tmp_path / name).touch()
    outputs, counters = found(tmp_path, tmp_path / "*.mov", tmp_path / "*", one_reader=one_reader)
    assert [row.uri for row in outputs["uris"]] == [str(tmp_path / "a.jpg")]
    assert [(lost.source.uri, lost.reason) for lost in outputs["unread"]] == [(str(tmp_path / "b.mov"), "other_file")]
    assert {name: sum_.count for name, sum_ in outputs["counts"]} == {"inputs": 5, "duplicates": 3}
    assert (counters["images-failed"], counters["uris-repeated"]) == (1, 3)


@pytest.mark.parametrize("one_reader", [True, False])
def test_counts_are_sums_and_no_element_a_row(tmp_path: pathlib.Path, one_reader: bool) -> None:
    rows = [[(f"/{i % 50}", "") for i in range(100)] + [("", "")] * 20]
    outputs, _ = found(*lists(tmp_path, rows), one_reader=one_reader)
    assert {name: sum_.count for name, sum_ in outputs["counts"]} == {"inputs": 120, "duplicates": 50}
    assert len(outputs["counts"]) == 2


def test_the_first_uri_leaves_before_the_second_row_is_looked_at(tmp_path: pathlib.Path) -> None:
    many = [[(f"/{i}", "") for i in range(5000)]] * 3
    source = ReadImageUris(lists(tmp_path, many))
    reset_tally()
    rows = read_in_order(source.sources, source.carried)
    assert next(rows).uri == "/0"
    assert (tally()["uris-read"], tally()["sources-found"], tally().get("sources-read", 0)) == (1, 3, 0)
    assert sum(isinstance(row, ImageUri) for row in rows) == 4999


def test_what_follows_is_fused_with_the_one_reader(photos: pathlib.Path) -> None:
    """Else nothing would be fetched before the last uri is read."""
    root = beam.Pipeline(FnApiRunner())
    read = root | ReadImageUris([str(photos)], one_reader=True)
    _ = read.uris | "Next" >> beam.Map(print)
    _, stages = FnApiRunner().create_stages(root.to_runner_api())
    (stage,) = [stage for stage in stages if any("Next" in t.unique_name for t in stage.transforms)]
    assert any("Read" in transform.unique_name for transform in stage.transforms)


def taken_by(number: int, **bounds: int) -> Iterator[tuple[int, int]]:
    """Yield what `ahead` gives of so many, each with how many were taken by then."""
    taken = 0

    def rows() -> Iterator[int]:
        nonlocal taken
        for i in range(number):
            taken += 1
            yield i

    yield from ((i, taken) for i in ahead(rows(), **bounds))


@pytest.mark.parametrize("number", [0, 1, 15, 16, 17, 1000])
def test_reading_ahead_changes_no_order_and_is_soon_at_the_end(number: int) -> None:
    given_ = list(taken_by(number))
    assert [i for i, _ in given_] == list(range(number))
    at_end = [i for i, taken in given_ if taken == number]
    assert not number or at_end[0] <= number // AHEAD_STEP


def test_reading_ahead_is_bounded() -> None:
    for given_, (i, taken) in enumerate(taken_by(1000, step=4, limit=10)):
        assert i == given_
        assert taken - given_ <= 11
    assert AHEAD_LIMIT >= 1000
