"""What is done about a uri, as a table says it."""

import itertools

import pytest

from transforms.collection.choices import RETRIES
from transforms.update.outcomes import (
    Held,
    HeldFailure,
    HeldRow,
    Outcome,
    condition_for,
    is_tried,
    outcome_of,
    outcome_of_bytes,
    outcome_unasked,
    stands,
)
from transforms.update.rows import hash8

NOW, BEFORE = "etag:now", "etag:before"


def row(version: str, same_columns: bool = True, sha256: int = 1) -> HeldRow:
    return HeldRow(hash8(version), same_columns, sha256, file=0, asked=version)


def failure(version: str, transient: bool = False, is_part: bool = False, of_list: bool = False) -> HeldFailure:
    return HeldFailure(version, transient, 0, is_part, of_list)


ROWS = {None: None, "same": row(NOW), "columns": row(NOW, same_columns=False), "old": row(BEFORE)}
PARTS = {None: None, "same": row(NOW), "columns": row(NOW, same_columns=False), "old": row(BEFORE)}
FAILURES = {None: None, "same": failure(NOW), "old": failure(BEFORE)}

# The first line that fits says the outcome; * stands for anything.
BY_VERSION = """
row      part     failure  outcome
same     *        *        SAME
columns  *        *        REVISE
*        same     *        TAKE
*        columns  *        TAKE
*        *        same     FAILED
*        *        *        FETCH
"""
UNASKED = """
row      part     failure  outcome
same     *        *        SAME
old      *        *        SAME
columns  *        *        REVISE
*        same     *        TAKE
*        columns  *        TAKE
*        old      *        TAKE
*        *        same     FAILED
*        *        old      FAILED
*        *        *        FETCH
"""
CASES = list(itertools.product(ROWS, PARTS, FAILURES))


def said(table: str, case: tuple[str | None, ...]) -> Outcome:
    lines = [line.split() for line in table.strip().splitlines()[1:]]
    return next(
        Outcome[outcome] for *held, outcome in lines if all(h in ("*", c) for h, c in zip(held, case, strict=True))
    )


def held(case: tuple[str | None, ...]) -> Held:
    return Held(ROWS[case[0]], PARTS[case[1]], FAILURES[case[2]])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_outcome_follows_from_what_is_held_and_the_version(case: tuple[str | None, ...]) -> None:
    assert outcome_of(held(case), NOW, "none") is said(BY_VERSION, case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_unasked_what_is_known_is_taken_for_present(case: tuple[str | None, ...]) -> None:
    assert outcome_unasked(held(case), "none") is said(UNASKED, case)


@pytest.mark.parametrize(
    ("retry", "tried"),
    [("none", {"of list"}), ("transient", {"of list", "transient"}), ("all", {"of list", "transient", "permanent"})],
)
def test_a_failure_is_tried_again_as_the_flag_says_and_that_of_a_list_always(retry: str, tried: set[str]) -> None:
    failures = {
        "permanent": failure(NOW),
        "transient": failure(NOW, transient=True),
        "of list": failure(NOW, of_list=True),
    }
    assert retry in RETRIES
    assert {name for name, one in failures.items() if is_tried(one, retry)} == tried
    for name, one in failures.items():
        expected = Outcome.FETCH if name in tried else Outcome.FAILED
        assert outcome_of(Held(failure=one), NOW, retry) is expected
        assert outcome_unasked(Held(failure=one), retry) is expected


@pytest.mark.parametrize(
    ("row_", "part", "outcome"),
    [
        (None, None, Outcome.FETCH),
        (row(NOW, sha256=1), None, Outcome.SAME),
        (row(BEFORE, sha256=1), None, Outcome.REVISE),
        (row(NOW, same_columns=False, sha256=1), None, Outcome.REVISE),
        (row(NOW, sha256=2), None, Outcome.FETCH),
        (row(NOW, sha256=2), row(BEFORE, sha256=1), Outcome.TAKE),
        (None, row(BEFORE, sha256=1), Outcome.TAKE),
        (None, row(NOW, sha256=2), Outcome.FETCH),
        (row(BEFORE, sha256=1), row(NOW, sha256=1), Outcome.REVISE),
    ],
)
def test_the_same_bytes_need_no_embedding_whatever_their_version(
    row_: HeldRow | None, part: HeldRow | None, outcome: Outcome
) -> None:
    assert outcome_of_bytes(Held(row_, part, failure(NOW)), 1, NOW) is outcome


@pytest.mark.parametrize(
    ("found", "retry", "version"),
    [
        ([], "none", ""),
        ([Held()], "none", ""),
        ([Held(row(BEFORE))], "none", BEFORE),
        ([Held(part=row(BEFORE))], "none", BEFORE),
        ([Held(row(BEFORE), row(NOW))], "none", BEFORE),
        ([Held(row(""), row(NOW))], "none", NOW),
        ([Held(failure=failure(BEFORE))], "none", BEFORE),
        ([Held(failure=failure(BEFORE))], "all", ""),
        ([Held(row(BEFORE)), Held(row(BEFORE))], "none", BEFORE),
        ([Held(row(BEFORE)), Held(row(NOW))], "none", ""),
        ([Held(row(BEFORE)), Held()], "none", ""),
    ],
)
def test_an_image_is_fetched_without_the_version_that_all_who_need_it_have(
    found: list[Held], retry: str, version: str
) -> None:
    assert condition_for(found, retry) == version


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_image_that_has_not_changed_since_is_not_fetched_again(case: tuple[str | None, ...]) -> None:
    """What storage is asked with settles the matter if it is still so."""
    if version := condition_for([held(case)], "none"):
        assert outcome_of(held(case), version, "none") is not Outcome.FETCH


def test_a_failure_of_a_part_does_not_stand() -> None:
    assert [stands(one) for one in (None, failure(NOW, is_part=True), failure(NOW))] == [False, False, True]
