"""What no longer stands, as sets say it, and the files that hold it."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import collection_files as files
from transforms.core.elements import ImageUri
from transforms.core.uri_sum import UriSum, uri_hash
from transforms.update.drops import drops_of, replaced_by, without_dropped
from transforms.update.known import Known
from transforms.update.outcomes import Held, HeldFailure, HeldRow
from transforms.update.rows import VALUES, UriHashes, merged, rows_of
from transforms.write.failures import FailuresFormat
from transforms.write.shard_format import ShardFormat

URIS = [f"/{i}" for i in range(6)]
SOME = st.sets(st.sampled_from(URIS))
FORMATS: dict[str, ShardFormat] = {**{name: make() for name, make in files.FORMATS.items()}, "": FailuresFormat()}


def hashes(uris: Any) -> list[bytes]:
    return list(map(uri_hash, uris))


def row(uri: str, name: str) -> Any:
    return files.embedding(uri, label=1) if name else files.failure(uri)


@given(
    rows=SOME,
    stood=SOME,
    of_parts=SOME,
    of_lists=SOME,
    seen=st.lists(SOME, max_size=3),
    replaced=SOME,
    stale=SOME,
    remove_missing=st.booleans(),
)
def test_what_is_dropped_is_what_sets_say(
    rows: set[str],
    stood: set[str],
    of_parts: set[str],
    of_lists: set[str],
    seen: list[set[str]],
    replaced: set[str],
    stale: set[str],
    remove_missing: bool,
) -> None:
    failures = {uri: HeldFailure("", False, 0, uri in of_parts, uri in of_lists) for uri in stood}
    known = Known(
        rows_of(hashes(rows), dict.fromkeys(VALUES, [0] * len(rows))),
        merged([]),
        {uri_hash(uri): failure for uri, failure in failures.items()},
    )
    standing, named = stood - of_parts, set().union(*seen)
    replaced, stale = replaced & rows & named, stale & standing & named
    notes: list[tuple[str, Any]] = [("skipped", UriSum.of(["/0"]))]
    for uris in seen:
        notes.append(("seen", known.rows.uris.find(hashes(uris & rows))))
        notes.append(("seen_failures", hashes(uris & standing)))
        notes.append(("stale_failures", hashes(uris & stale)))

    drops = drops_of(hashes(replaced), notes, known, remove_missing)

    gone, unnamed = rows - named, standing - named
    assert drops.gone == UriSum.of(gone)
    assert drops.removed == (UriSum.of(gone) if remove_missing else UriSum())
    assert drops.rows.all() == sorted(hashes(replaced | gone if remove_missing else replaced))
    expected = stale | (standing & of_lists) | (unnamed if remove_missing else set())
    assert drops.failures.all() == sorted(hashes(expected))


def test_notes_of_a_plain_list_and_of_no_position_mark_nothing_else() -> None:
    known = Known(rows_of(hashes(URIS), dict.fromkeys(VALUES, [0] * 6)), merged([]), {})
    drops = drops_of([], [("seen", np.array([], np.int64)), ("seen", np.array([2]))], known, True)
    assert len(drops.rows) == 5


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (None, []),
        ({}, []),
        ({"x": Held()}, []),
        ({"y": Held(HeldRow(0, True, 0, 0, ""))}, []),
        ({"x": Held(part=HeldRow(0, True, 0, 0, ""))}, []),
        ({"x": Held(HeldRow(0, True, 0, 0, ""))}, hashes(["/a"])),
    ],
)
def test_a_row_is_replaced_where_the_collection_has_one(held: dict[str, Held] | None, expected: list[bytes]) -> None:
    embedding = dataclasses.replace(files.embedding("/a"), source=ImageUri("/a", held=held))
    assert list(replaced_by(embedding, "x")) == expected


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=15)
@given(uris=st.lists(st.sampled_from(URIS), min_size=1, unique=True), dropped=SOME)
def test_the_rows_of_a_file_that_no_longer_stand_have_numbers_and_a_sum(
    name: str, uris: list[str], dropped: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("out")
    file = files.standing(folder, FORMATS[name], "OLD", [row(uri, name) for uri in uris])
    found = without_dropped(file, str(folder / file.name), UriHashes.of(hashes(dropped)), FORMATS[name])
    assert found.dropped == tuple(i for i, uri in enumerate(uris) if uri in dropped)
    assert found.dropped_uris == UriSum.of(uri for uri in uris if uri in dropped)
    assert (found.name, found.uris, found.num_bytes) == (file.name, file.uris, file.num_bytes)


def test_a_file_is_not_read_where_nothing_is_dropped(tmp_path: pathlib.Path) -> None:
    file = files.standing(tmp_path, FORMATS["parquet"], "OLD", [files.embedding("/a")])
    assert without_dropped(file, str(tmp_path / "none"), UriHashes.of([]), FORMATS["parquet"]) is file
