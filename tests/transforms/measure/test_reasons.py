"""Failures are counted by reason, however the work is divided."""

import itertools
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that

from transforms.core.elements import ImageUri
from transforms.core.failures import Failure
from transforms.measure.reasons import CountReasons


def failure(uri: str, reason: str = "corrupt", kind: str = "permanent") -> Failure:
    return Failure(ImageUri(uri), "decode", reason, kind, "ValueError", f"{uri} is broken", 2)


def count(*parts: list[Failure]) -> Any:
    """Count each part on its own, and then all together."""
    combine = CountReasons()
    counted = []
    for part in parts:
        reasons = combine.create_accumulator()
        for lost in part:
            reasons = combine.add_input(reasons, lost)
        counted.append(reasons)
    return combine.extract_output(combine.merge_accumulators(counted))


def test_reasons_are_counted_with_one_example_each_the_most_frequent_first() -> None:
    lost = [failure("1", "corrupt"), failure("2", "empty"), failure("3", "empty")]

    def check(found: list[dict[str, Any]]) -> None:
        (reasons,) = found
        assert [(reason, seen["count"]) for reason, seen in reasons.items()] == [("empty", 2), ("corrupt", 1)]
        assert reasons["corrupt"]["example"] == "1"
        assert reasons["corrupt"]["message"] == "1 is broken"
        assert reasons["empty"]["example"] in ("2", "3")

    with beam.Pipeline(FnApiRunner()) as root:
        assert_that(root | beam.Create(lost) | beam.CombineGlobally(CountReasons()), check)


def test_counting_in_parts_gives_the_same() -> None:
    assert count([failure("a"), failure("b")], [failure("c")], [])["corrupt"]["count"] == 3


@pytest.mark.parametrize("cuts", itertools.combinations(range(6), 2))
def test_wherever_the_work_is_divided_the_counts_are_the_same(cuts: tuple[int, int]) -> None:
    lost = [failure(str(i), "empty" if i % 3 else "corrupt") for i in range(6)]
    first, second = cuts
    reasons = count(lost[:first], lost[first:second], lost[second:])
    assert [(reason, seen["count"]) for reason, seen in reasons.items()] == [("empty", 4), ("corrupt", 2)]


def test_merging_leaves_the_parts_as_they_were() -> None:
    combine = CountReasons()
    parts = [combine.add_input(combine.create_accumulator(), failure("a")) for _ in range(2)]
    combine.merge_accumulators(parts)
    assert [part["corrupt"]["count"] for part in parts] == [1, 1]


def test_an_entry_says_whether_another_attempt_may_help() -> None:
    assert count([failure("a", "timeout", "transient")]) == {
        "timeout": {"count": 1, "kind": "transient", "example": "a", "message": "a is broken"}
    }


def test_no_failures_have_no_reasons() -> None:
    assert count() == count([]) == {}


def test_an_example_shows_no_secret_and_no_escape() -> None:
    """(4e): the manifest is read by more people than the uris."""
    entry = count([failure("https://me:pw@h/\x1b?sig=ab")])["corrupt"]
    assert entry["example"] == r"https://***@h/\u001b?sig=***"
    # What follows after a blank may be part of the signature.
    assert entry["message"] == r"https://***@h/\u001b?sig=***"
    assert len(count([failure("x" * 10**6)])["corrupt"]["example"]) == 1000
