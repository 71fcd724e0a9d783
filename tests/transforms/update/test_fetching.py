"""The fetch between its two comparisons: what is asked for, what is settled, and for which collection."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.pvalue import TaggedOutput
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that

from tests import collection_files as files
from transforms.core.elements import Image, ImageUri
from transforms.core.failures import FAILURES, Failure
from transforms.core.uri_sum import UriSum
from transforms.update.compare import Rules
from transforms.update.fetching import FetchDiffering, NeededBy, is_needed
from transforms.update.known import KnownFile
from transforms.update.outcomes import Held

STORAGE = {
    "/new": ("v1", b"new"),
    "/same": ("v1", b"same"),
    "/asked": ("etag:x", b"asked"),
    "/touched": ("v2", b"touched"),
    "/changed": ("v2", b"later"),
}
"""Version and bytes of each image that is there."""


@dataclasses.dataclass
class Fetch(beam.PTransform):
    """Fetches from STORAGE."""

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, uris: Any) -> Any:
        found = uris | beam.FlatMap(self.fetched).with_outputs("unchanged", FAILURES, main="images")
        return found.images, found.unchanged, found[FAILURES]

    @staticmethod
    def fetched(source: ImageUri) -> Iterator[Any]:
        path = source.uri.removeprefix("https://h")
        if path not in STORAGE:
            yield TaggedOutput(FAILURES, Failure(source, "fetch", "not_found", "permanent", "", ""))
            return
        version, data = STORAGE[path]
        source = dataclasses.replace(source, version=version)
        yield TaggedOutput("unchanged", source) if source.known_version == version else Image(source, data)


def held_in(folder: pathlib.Path, name: str, rows: dict[str, tuple[str, str]]) -> list[KnownFile]:
    written = [files.embedding(f"https://h{path}", version, data) for path, (version, data) in rows.items()]
    return [KnownFile(files.write(files.parquet(), folder / name, written), False, "parquet")]


def same(expected: Any, of: Callable[[Any], Any]) -> Callable[[list[Any]], None]:
    def check(found: list[Any]) -> None:
        assert sorted(map(of, found)) == sorted(expected)

    return check


def skipped(collection: str) -> Callable[[list[Any]], None]:
    def check(notes: list[Any]) -> None:
        assert {note.collection for note in notes} == {collection}
        assert UriSum.total(note.value for note in notes if note.kind == "skipped") == UriSum.of(["https://h/same"])

    return check


def sources(*paths: str) -> list[ImageUri]:
    return [ImageUri(f"https://h{path}", {}, STORAGE[path][0] if path == "/same" else "") for path in paths]


def test_only_what_differs_is_fetched_and_goes_on_for_those_that_need_it(tmp_path: pathlib.Path) -> None:
    first = {
        "/same": ("v1", "same"),
        "/asked": ("etag:x", "asked"),
        "/touched": ("v1", "touched"),
        "/changed": ("v1", "sooner"),
    }
    second = {"/same": ("v1", "same"), "/touched": ("v1", "other")}
    known = [held_in(tmp_path, "a", first), held_in(tmp_path, "b", second)]
    rules = [Rules(name, "parquet", files.parquet()) for name in "ab"]
    uris = sources("/new", "/same", "/asked", "/touched", "/changed", "/lost")
    with beam.Pipeline(FnApiRunner()) as root:
        images, unfetched, standing = root | beam.Create(uris) | FetchDiffering(Fetch(), rules, known)
        needs = [("/new", "ab"), ("/changed", "ab"), ("/touched", "b"), ("/asked", "b")]
        # The second collection has nothing of /asked, so that it is fetched, and settled for the first by its bytes.
        assert_that(
            images,
            same(needs, lambda one: (one.source.uri.removeprefix("https://h"), "".join(one.source.held))),
            "Images",
        )
        assert_that(unfetched, same([("https://h/lost", "not_found")], lambda f: (f.source.uri, f.reason)), "Lost")
        for name, settled in (("a", [("/asked", "same"), ("/touched", "revise")]), ("b", [])):
            assert_that(
                standing[name].settled,
                same(settled, lambda one: (one.source.uri.removeprefix("https://h"), one.outcome.value)),
                f"Settled{name}",
            )
            assert_that(standing[name].notes, skipped(name), f"Notes{name}")
            assert_that(
                standing[name].known,
                same([len((first, second)["ab".index(name)])], lambda one: len(one.rows)),
                f"Known{name}",
            )


def test_an_image_that_one_collection_has_is_asked_about_and_not_sent_again(tmp_path: pathlib.Path) -> None:
    known = [held_in(tmp_path, "a", {"/asked": ("etag:x", "asked")})]
    with beam.Pipeline(FnApiRunner()) as root:
        fetch = FetchDiffering(Fetch(), [Rules("a", "parquet", files.parquet())], known)
        images, _, standing = root | beam.Create(sources("/asked")) | fetch
        assert_that(images, same([], str), "Images")
        assert_that(standing["a"].settled, same(["same"], lambda one: one.outcome.value), "Settled")


def test_where_nothing_stands_all_is_fetched_and_nothing_compared(tmp_path: pathlib.Path) -> None:
    with beam.Pipeline(FnApiRunner()) as root:
        fetch = FetchDiffering(Fetch(), [Rules("a", "parquet", files.parquet())], [[]])
        images, unfetched, standing = root | beam.Create(sources("/new", "/lost")) | fetch
        assert standing == {}
        assert_that(
            images,
            same([(None, hashlib.sha256(b"new").digest())], lambda i: (i.source.held, hashlib.sha256(i.data).digest())),
            "Images",
        )
        assert_that(unfetched, same(["https://h/lost"], lambda f: f.source.uri), "Lost")


@pytest.mark.parametrize(("held", "needed"), [(None, True), ({"x": Held()}, True), ({"y": Held()}, False), ({}, False)])
def test_a_collection_needs_what_is_for_all_or_for_it(held: Any, needed: bool) -> None:
    image = Image(ImageUri("/a", held=held), b"")
    assert is_needed(image, "x") is needed
    with beam.Pipeline(FnApiRunner()) as root:
        found = root | beam.Create([image]).with_output_types(Image) | NeededBy("x")
        assert found.element_type is Image
        assert_that(found, same([b""] if needed else [], lambda one: one.data))
