"""Uris are compared as a plain loop over dictionaries would."""

import collections
import itertools
import os
import pathlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import collection_files as files
from transforms.collection.choices import RETRIES
from transforms.core.elements import ImageUri
from transforms.core.uri_sum import UriSum, uri_hash
from transforms.update.compare import Comparison, Rules, Settled, decide, version_now
from transforms.update.known import Known, carried_hash
from transforms.update.outcomes import Held, HeldFailure, HeldRow, Outcome
from transforms.update.rows import hash8, rows_of

FORMAT = files.parquet()
URIS = [*(f"gs://b/{i}" for i in range(4)), *(f"https://h/{i}" for i in range(4))]
VERSIONS = st.sampled_from(["generation:1", "generation:2", "etag:x", "mtime:1,size:2", ""])
LABELS = st.integers(0, 1)
ROWS = st.dictionaries(st.sampled_from(URIS), st.tuples(VERSIONS, LABELS))
FAILURES = st.dictionaries(
    st.sampled_from(URIS), st.builds(HeldFailure, VERSIONS, st.booleans(), st.just(5), st.booleans(), st.booleans())
)
HELD = st.tuples(ROWS, ROWS, FAILURES)
SOURCES = st.dictionaries(st.sampled_from(URIS), st.tuples(VERSIONS, LABELS)).map(
    lambda found: [ImageUri(uri, {"label": label}, version) for uri, (version, label) in found.items()]
)
Given = tuple[dict[str, tuple[str, int]], dict[str, tuple[str, int]], dict[str, HeldFailure]]


def rows(held: dict[str, tuple[str, int]]) -> Any:
    versions, labels = ([one[i] for one in held.values()] for i in range(2))
    values = {
        "version": list(map(hash8, versions)),
        "carried": [carried_hash((label,)) for label in labels],
        "sha256": [1] * len(held),
        "file": [0] * len(held),
        "asked": [version if version[:4] in ("gene", "etag") else "" for version in versions],
    }
    return rows_of(list(map(uri_hash, held)), values)


def known(held: Given) -> Known:
    stand, parts, failures = held
    return Known(rows(stand), rows(parts), {uri_hash(uri): one for uri, one in failures.items()})


def rules(name: str = "x", retry: str = "none", recheck_http: bool = True) -> Rules:
    return Rules(name, "parquet", FORMAT, retry, recheck_http)


def expected(source: ImageUri, held: Given, rules: Rules) -> str:
    """Say in words what is done, from dictionaries of texts alone."""
    (row, part, failure), version = (one.get(source.uri) for one in held), source.version
    tried = failure and (failure.of_list or {"none": False, "all": True, "transient": failure.transient}[rules.retry])
    unasked = not version and source.uri.startswith("https:") and not rules.recheck_http
    if not version and part and not row:
        return "take"
    if not version and not unasked:
        never = failure and not (failure.version or row or part or tried)
        return "failed" if never else "fetch"
    if row and (unasked or row[0] == version):
        return "same" if row[1] == source.columns["label"] else "revise"
    if part and (unasked or part[0] == version):
        return "take"
    return "failed" if failure and not tried and (unasked or failure.version == version) else "fetch"


@settings(max_examples=200)
@given(SOURCES, st.lists(HELD, min_size=1, max_size=2), st.sampled_from(RETRIES), st.booleans())
def test_uris_are_compared_as_by_a_loop(
    sources: list[ImageUri], held: list[Given], retry: str, recheck_http: bool
) -> None:
    each = [rules(f"c{i}", retry, recheck_http) for i in range(len(held))]
    comparison = Comparison(each)
    found = list(comparison(sources, list(map(known, held))))
    notes: dict[tuple[str, str], Any] = {(note.collection, note.kind): note.value for note in comparison.notes()}
    said = {
        (one.name, source.uri): expected(source, of, one)
        for one, of in zip(each, held, strict=True)
        for source in sources
    }

    fetched = {one.uri: set(one.held or {}) for one in found if isinstance(one, ImageUri)}
    needs = collections.defaultdict(set)
    for (name, uri), outcome in said.items():
        if outcome == "fetch":
            needs[uri].add(name)
    assert fetched == needs

    for one, (rows_, parts, failures) in zip(each, held, strict=True):
        by_outcome = collections.defaultdict(set)
        for source in sources:
            by_outcome[said[one.name, source.uri]].add(source.uri)
        settled = {
            (o.source.uri, o.outcome.value) for o in found if isinstance(o, Settled) and o.collection == one.name
        }
        standing = {uri for uri, failure in failures.items() if not failure.is_part}
        assert settled == {
            *((uri, "revise") for uri in by_outcome["revise"]),
            *((uri, "take") for uri in by_outcome["take"]),
            *((uri, "failed") for uri in by_outcome["failed"] - standing),
        }
        assert notes.get((one.name, "skipped"), UriSum()) == UriSum.of(by_outcome["same"])
        assert notes.get((one.name, "failed"), UriSum()) == UriSum.of(by_outcome["failed"] & standing)
        uris = {source.uri for source in sources}
        seen = known((rows_, parts, failures)).rows.uris.at(np.array(notes.get((one.name, "seen"), []), np.int64))
        assert set(seen) == set(map(uri_hash, uris & set(rows_)))
        assert set(notes.get((one.name, "seen_failures"), [])) == set(map(uri_hash, uris & standing))
        stale = (uris & standing) - by_outcome["failed"]
        assert set(notes.get((one.name, "stale_failures"), [])) == set(map(uri_hash, stale))


@given(SOURCES, HELD, st.integers(0, 8))
def test_it_does_not_matter_how_many_are_compared_at_once(sources: list[ImageUri], held: Given, cut: int) -> None:
    whole, halves = Comparison([rules()]), Comparison([rules()])
    found = list(whole(sources, [known(held)]))
    assert [one for half in (sources[:cut], sources[cut:]) for one in halves(half, [known(held)])] == [
        *itertools.chain.from_iterable(found[i : i + 1] for i in order(found, sources, cut))
    ]
    sums = [
        {note.kind: note.value for note in one.notes() if isinstance(note.value, UriSum)} for one in (whole, halves)
    ]
    assert sums[0] == sums[1]


def order(found: list[Any], sources: list[ImageUri], cut: int) -> list[int]:
    """Return the order in which two halves yield: of each what is settled first, then what is fetched."""
    first = {source.uri for source in sources[:cut]}
    uris = [one.source.uri if isinstance(one, Settled) else one.uri for one in found]
    return sorted(range(len(found)), key=lambda i: (uris[i] not in first, isinstance(found[i], ImageUri), i))


def test_an_image_is_fetched_without_the_version_that_is_known() -> None:
    held = ({"https://h/0": ("etag:x", 0), "gs://b/0": ("generation:1", 0)}, {}, {})
    sources = [ImageUri("https://h/0"), ImageUri("https://h/1"), ImageUri("gs://b/0", {}, "generation:2")]
    found = list(Comparison([rules()])(sources, [known(held)]))
    assert [(one.uri, one.known_version) for one in found if isinstance(one, ImageUri)] == [
        ("https://h/0", "etag:x"),
        ("https://h/1", ""),
        # The listing said that it has changed.
        ("gs://b/0", ""),
    ]


def test_what_is_not_asked_about_keeps_its_version() -> None:
    held: Given = (
        {"https://h/0": ("etag:x", 1)},
        {"https://h/1": ("etag:y", 0)},
        {"https://h/2": HeldFailure("etag:z", False, 0, is_part=True)},
    )
    sources = [ImageUri(f"https://h/{i}", {"label": 0}) for i in range(3)]
    found = list(Comparison([rules(recheck_http=False)])(sources, [known(held)]))
    assert [(one.outcome, one.source.version) for one in found if isinstance(one, Settled)] == [
        (Outcome.REVISE, "etag:x"),
        (Outcome.TAKE, "etag:y"),
        (Outcome.FAILED, "etag:z"),
    ]


def test_a_local_file_is_looked_at_and_others_are_not(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"xyz")
    os.utime(path, ns=(5, 17))
    assert version_now(ImageUri(str(path))) == version_now(ImageUri(path.as_uri())) == "mtime:17,size:3"
    assert version_now(ImageUri(str(tmp_path / "none"))) == ""
    assert version_now(ImageUri("gs://b/a")) is version_now(ImageUri("https://h/a")) is None
    for uri in (str(path), "gs://b/a"):
        assert version_now(ImageUri(uri, version="listed:7")) == "listed:7"


@pytest.mark.parametrize(("retry", "outcome"), [("none", Outcome.FAILED), ("all", Outcome.FETCH)])
def test_a_failure_that_nothing_tells_from_a_later_one_is_as_the_flag_says(retry: str, outcome: Outcome) -> None:
    failure = HeldFailure("", transient=False, file=0)
    assert decide(ImageUri("https://h/a"), None, Held(failure=failure), rules(retry=retry)) is outcome
    row = HeldRow(0, True, 0, 0, "etag:x")
    assert decide(ImageUri("https://h/a"), None, Held(row, failure=failure), rules()) is Outcome.FETCH


def test_what_is_settled_knows_the_file_of_what_is_written_again_and_whether_it_replaces_a_row() -> None:
    row, part, failure = HeldRow(0, True, 0, 1, ""), HeldRow(0, True, 0, 2, ""), HeldFailure("", False, 3)
    source = ImageUri("/a", {"label": 1}, "generation:1", "generation:0", {"x": Held(row, part, failure)})
    plain = ImageUri("/a", {"label": 1}, "generation:1")
    for held, replaces in ((Held(row, part, failure), True), (Held(None, part, failure), False)):
        found = {outcome: Settled.of("x", outcome, source, held) for outcome in Outcome}
        assert {outcome: one[2:] for outcome, one in found.items()} == {
            Outcome.REVISE: (plain, 1 if held.row else None, replaces),
            Outcome.TAKE: (plain, 2, replaces),
            Outcome.FAILED: (plain, 3, False),
            Outcome.SAME: (plain, None, False),
            Outcome.FETCH: (plain, None, False),
        }
