"""Every input has exactly one outcome, counted from what was really written."""

import random

import pytest

from transforms.commit.accounting import AccountingError, account
from transforms.core.uri_sum import UriSum
from transforms.write.shard_plan import WrittenFile

URIS = [f"/photos/{i}.jpg" for i in range(8)]
INPUTS, DUPLICATES = ("inputs", UriSum.of([*URIS, *URIS[:2]])), ("duplicates", UriSum.of(URIS[:2]))


def parquet(index: int, uris: list[str]) -> tuple[str, WrittenFile]:
    return "embeddings", WrittenFile(f"parquet/embeddings-RUN-0000{index}-of-00002.parquet", UriSum.of(uris), 100)


def tfrecord(uris: list[str]) -> tuple[str, WrittenFile]:
    return "embeddings", WrittenFile("tfrecord/embeddings-RUN-00000-of-00001.tfrecord.gz", UriSum.of(uris), 100)


PARQUET = [parquet(0, URIS[:3]), parquet(1, URIS[3:6])]
FAILED = ("failures", WrittenFile("failures/failures-RUN-00000-of-00001.jsonl", UriSum.of(URIS[6:]), 10))
ALL = [INPUTS, DUPLICATES, *PARQUET, FAILED]


def test_the_counts_are_those_of_what_was_written() -> None:
    counts = {"inputs": 10, "embedded": 6, "failed": 2, "skipped": 0, "duplicates": 2}
    assert account(ALL).counts == counts
    assert account([*ALL, tfrecord(URIS[:6])]).counts == counts
    halves = [("inputs", UriSum.of(URIS[:4])), ("inputs", UriSum.of([*URIS[4:], *URIS[:2]]))]
    assert account([*halves, DUPLICATES, *PARQUET, FAILED]).counts == counts
    assert account([]).counts == dict.fromkeys(counts, 0)


@pytest.mark.parametrize("missing", range(len(ALL)))
def test_a_sum_that_does_not_hold_is_an_error(missing: int) -> None:
    with pytest.raises(AccountingError, match="outcomes"):
        account(ALL[:missing] + ALL[missing + 1 :])


def test_something_doubled_is_an_error_too() -> None:
    with pytest.raises(AccountingError, match="10 inputs, but 12 outcomes"):
        account([*ALL, FAILED])


@pytest.mark.parametrize("seed", range(20))
def test_a_row_that_is_lost_beside_one_that_is_doubled_is_an_error(seed: int) -> None:
    """Though the numbers add up. (1g)"""
    lost, doubled = random.Random(seed).sample(range(6), 2)
    uris = [URIS[doubled] if i == lost else uri for i, uri in enumerate(URIS[:6])]
    with pytest.raises(AccountingError, match="10 inputs and as many outcomes, but of other uris"):
        account([INPUTS, DUPLICATES, parquet(0, uris), FAILED])


def test_formats_that_differ_are_an_error() -> None:
    with pytest.raises(AccountingError, match=r"different embeddings; rows: \{'parquet': 6, 'tfrecord': 5\}"):
        account([*ALL, tfrecord(URIS[:5])])
    with pytest.raises(AccountingError, match="different embeddings"):
        account([*ALL, tfrecord(URIS[1:7])])


def test_a_run_of_one_format_is_counted_whichever_it_is() -> None:
    assert account([INPUTS, DUPLICATES, tfrecord(URIS[:6]), FAILED]).counts["embedded"] == 6


def test_what_is_no_outcome_does_not_count() -> None:
    assert account([*ALL, ("health", {"vectors": 99}), ("reasons", {"empty": {"count": 99}})]) == account(ALL)
