"""Every input has exactly one outcome, counted from what was really written."""

import pytest

from transforms.commit.accounting import AccountingError, account
from transforms.write.shard_plan import WrittenFile

INPUTS, DUPLICATES = ("inputs", 10), ("duplicates", 2)
PARQUET = [("embeddings", WrittenFile(f"parquet/embeddings-RUN-0000{i}-of-00002.parquet", 3, 100)) for i in range(2)]
TFRECORD = ("embeddings", WrittenFile("tfrecord/embeddings-RUN-00000-of-00001.tfrecord.gz", 6, 100))
FAILED = ("failures", WrittenFile("failures/failures-RUN-00000-of-00001.jsonl", 2, 10))
ALL = [INPUTS, DUPLICATES, *PARQUET, FAILED]


def test_the_counts_are_those_of_what_was_written() -> None:
    counts = {"inputs": 10, "embedded": 6, "failed": 2, "skipped": 0, "duplicates": 2}
    assert account(ALL) == counts
    assert account([*ALL, TFRECORD]) == counts
    assert account([("inputs", 4), ("inputs", 6), DUPLICATES, *PARQUET, FAILED]) == counts
    assert account([]) == dict.fromkeys(counts, 0)


@pytest.mark.parametrize("missing", range(len(ALL)))
def test_a_sum_that_does_not_hold_is_an_error(missing: int) -> None:
    with pytest.raises(AccountingError, match="outcomes"):
        account(ALL[:missing] + ALL[missing + 1 :])


def test_something_doubled_is_an_error_too() -> None:
    with pytest.raises(AccountingError, match="10 inputs, but 12 outcomes"):
        account([*ALL, FAILED])


def test_formats_that_differ_are_an_error() -> None:
    with pytest.raises(AccountingError, match="different numbers"):
        account([*ALL, ("embeddings", WrittenFile("tfrecord/embeddings-RUN-00000-of-00001.tfrecord.gz", 5, 1))])


def test_a_run_of_one_format_is_counted_whichever_it_is() -> None:
    assert account([INPUTS, DUPLICATES, TFRECORD, FAILED])["embedded"] == 6


def test_the_formats_that_differ_are_named_with_their_numbers() -> None:
    five = ("embeddings", WrittenFile("tfrecord/embeddings-RUN-00000-of-00001.tfrecord.gz", 5, 1))
    with pytest.raises(AccountingError, match=r"\{'parquet': 6, 'tfrecord': 5\}"):
        account([*ALL, five])


def test_what_is_no_outcome_does_not_count() -> None:
    assert account([*ALL, ("health", {"vectors": 99}), ("reasons", {"empty": {"count": 99}})]) == account(ALL)
