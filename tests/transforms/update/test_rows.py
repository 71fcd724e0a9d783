"""Sorted arrays of hashes answer as dictionaries do."""

import hashlib
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transforms.update.rows import ABSENT, VALUES, Rows, UriHashes, hash8, merged, rows_of

# Few halves, so that many hashes begin or end alike.
HALVES = st.sampled_from([0, 1, 2**63, 2**64 - 2, 2**64 - 1])
HASHES = st.builds(lambda high, low: high.to_bytes(8, "big") + low.to_bytes(8, "big"), HALVES, HALVES)
NUMBER = st.integers(0, 2**64 - 1)
ROW = st.tuples(HASHES, NUMBER, NUMBER, NUMBER, st.integers(0, 2**32 - 1), st.sampled_from(["", "etag:ä"]))
Row = tuple[Any, ...]


def built(rows: list[Row]) -> Rows:
    columns = list(zip(*rows, strict=True)) or [()] * 6
    return rows_of(list(columns[0]), dict(zip(VALUES, columns[1:], strict=True)))


def told(rows: Rows) -> dict[bytes, Row]:
    """Return the rows as a dictionary, in their order."""
    values = [getattr(rows, name).tolist() for name in VALUES]
    return dict(zip(rows.uris.all(), zip(*values, strict=True), strict=True))


def first_of(rows: list[Row]) -> dict[bytes, Row]:
    found: dict[bytes, Row] = {}
    for uri, *values in rows:
        found.setdefault(uri, tuple(values))
    return found


@given(st.lists(HASHES, unique=True), st.lists(HASHES))
def test_hashes_are_found_where_they_are(held: list[bytes], asked: list[bytes]) -> None:
    uris = UriHashes.of(held)
    places = {uri: place for place, uri in enumerate(sorted(held))}
    assert uris.find(asked).tolist() == [places.get(uri, ABSENT) for uri in asked]
    assert len(uris) == len(held)


@given(st.lists(HASHES, unique=True), st.data())
def test_hashes_come_back_sorted_and_from_any_places(held: list[bytes], data: st.DataObject) -> None:
    uris, expected = UriHashes.of(held), sorted(held)
    assert uris.all() == expected
    places = data.draw(st.lists(st.integers(0, len(held) - 1))) if held else []
    assert uris.at(np.array(places, np.int64)) == [expected[place] for place in places]


def test_of_hashes_that_begin_alike_each_is_found_and_no_other() -> None:
    uris = UriHashes(np.array([1, 7, 7, 7, 9], np.uint64), np.array([5, 1, 2, 4, 0], np.uint64))

    def pair(high: int, low: int) -> bytes:
        return high.to_bytes(8, "big") + low.to_bytes(8, "big")

    asked = [pair(7, low) for low in range(6)] + [pair(9, 1), pair(9, 0), pair(1, 5), pair(10, 0)]
    assert uris.find(asked).tolist() == [ABSENT, 1, 2, ABSENT, 3, ABSENT, ABSENT, 4, 0, ABSENT]


@given(st.lists(ROW))
def test_rows_are_sorted_by_uri_and_of_the_same_the_first_stays(rows: list[Row]) -> None:
    found = told(built(rows))
    assert found == first_of(rows)
    assert list(found) == sorted(found)


@given(st.lists(st.lists(ROW), max_size=4))
def test_merged_rows_are_those_of_all_and_of_the_same_the_first(parts: list[list[Row]]) -> None:
    found = merged(map(built, parts))
    assert told(found) == first_of([row for part in parts for row in part])
    assert len(found) == len(told(found))
    assert [getattr(found, name).dtype for name in VALUES] == list(VALUES.values())


def test_a_text_has_a_number_even_one_of_lone_surrogates() -> None:
    expected = hashlib.blake2b(b"generation:17", digest_size=8).hexdigest()
    assert f"{hash8('generation:17'):016x}" == expected
    assert hash8("\ud800") != hash8("\udfff")
