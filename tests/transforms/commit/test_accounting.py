"""Every input has exactly one outcome, counted from what was really written."""

import dataclasses
import random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from transforms.commit.accounting import AccountingError, account
from transforms.core.uri_sum import UriSum
from transforms.write.shard_plan import StandingFile, WrittenFile

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


NAMES = [f"/{i}" for i in range(12)]
SOME = st.sets(st.sampled_from(NAMES))
KEPT_NAMES = {
    "parquet": "parquet/embeddings-{}-00000-of-00001.parquet",
    "tfrecord": "tfrecord/embeddings-{}-00000-of-00001.tfrecord.gz",
    "": "failures/failures-{}-00000-of-00001.jsonl",
}
Found = list[tuple[str, Any]]


@dataclasses.dataclass
class Night:
    """An update of a collection, as dictionaries and sets tell it.

    Attributes:
      rows: uris of the rows before.
      lost: uris of the failures before.
      inputs: uris of the list.
      repeated: those of them that the list names twice.
      fate: what becomes of each input: of those with a row 'same', 'revised' or 'changed'; of others 'new' or 'taken';
        of any 'failed'; of earlier failures 'known'.
      removes: whether rows go whose uris are not in the list.
    """

    rows: set[str]
    lost: set[str]
    inputs: set[str]
    repeated: set[str]
    fate: dict[str, str]
    removes: bool

    def of(self, *fates: str) -> set[str]:
        return {uri for uri, fate in self.fate.items() if fate in fates}

    @property
    def gone(self) -> set[str]:
        return self.rows - self.inputs

    @property
    def dropped(self) -> set[str]:
        return (self.of("revised", "changed", "taken") & self.rows) | (self.gone if self.removes else set())

    @property
    def rows_after(self) -> set[str]:
        return (self.rows - self.dropped) | self.of("revised", "changed", "new", "taken")

    @property
    def failures_dropped(self) -> set[str]:
        return (self.lost & self.inputs) - self.of("known")

    @property
    def failures_after(self) -> set[str]:
        return (self.lost - self.failures_dropped) | self.of("failed")

    def found(self, formats: list[str]) -> Found:
        """Return what a run finds, the files of both runs parted in two."""
        sums = {
            "inputs": [*self.inputs, *self.repeated],
            "duplicates": self.repeated,
            "skipped": self.of("same", "revised"),
            "known_failures": self.of("known"),
            "revised": self.of("revised"),
            "taken_over": self.of("taken"),
            "dropped": self.dropped,
            "gone": self.gone,
            "removed": self.gone if self.removes else [],
        }
        found: Found = [(kind, UriSum.of(part)) for kind, uris in sums.items() for part in halves(uris)]
        for format_ in formats:
            found += [
                ("embeddings", written(format_, f"NEW{i}", part)) for i, part in enumerate(halves(self.rows_after))
            ]
            found += [
                ("standing", stood(format_, f"OLD{i}", part, self.dropped)) for i, part in enumerate(halves(self.rows))
            ]
        found += [("failures", written("", f"NEW{i}", part)) for i, part in enumerate(halves(self.failures_after))]
        found += [
            ("standing", stood("", f"OLD{i}", part, self.failures_dropped)) for i, part in enumerate(halves(self.lost))
        ]
        return found


def halves(uris: Any) -> list[list[str]]:
    ordered = sorted(uris)
    return [ordered[::2], ordered[1::2]]


def written(format_: str, run: str, uris: list[str]) -> WrittenFile:
    return WrittenFile(KEPT_NAMES[format_].format(run), UriSum.of(uris), 1)


def stood(format_: str, run: str, uris: list[str], dropped: set[str]) -> StandingFile:
    numbers = tuple(i for i, uri in enumerate(uris) if uri in dropped)
    return StandingFile(KEPT_NAMES[format_].format(run), UriSum.of(uris), 1, numbers, UriSum.of(dropped & set(uris)))


@st.composite
def nights(draw: st.DrawFn) -> Night:
    rows, lost, inputs = draw(SOME), draw(SOME), draw(SOME)
    fates = {}
    for uri in sorted(inputs):
        possible = ["same", "revised", "changed", "taken", "failed"] if uri in rows else ["new", "taken", "failed"]
        fates[uri] = draw(st.sampled_from([*possible, *(["known"] if uri in lost else [])]))
    repeated = {uri for uri in sorted(inputs) if draw(st.booleans())}
    return Night(rows, lost, inputs, repeated, fates, draw(st.booleans()))


FORMATS = st.sampled_from([["parquet"], ["tfrecord"], ["parquet", "tfrecord"]])


@given(nights(), FORMATS)
def test_an_update_is_counted_as_dictionaries_predict(night: Night, formats: list[str]) -> None:
    found = account(night.found(formats))
    embedded = night.of("new", "changed", "taken")
    assert found.counts == {
        "inputs": len(night.inputs) + len(night.repeated),
        "embedded": len(embedded),
        "failed": len(night.of("failed", "known")),
        "skipped": len(night.of("same", "revised")),
        "duplicates": len(night.repeated),
    }
    changed = len(embedded & night.rows)
    assert found.changes == {
        "rows_before": len(night.rows),
        "new": len(embedded) - changed,
        "changed": changed,
        "taken_over": len(night.of("taken")),
        "revised": len(night.of("revised")),
        "known_failures": len(night.of("known")),
        "gone": len(night.gone),
        "removed": len(night.gone) if night.removes else 0,
    }
    assert found.rows == len(night.rows_after)
    changes = found.changes
    assert found.rows == changes["rows_before"] - changes["changed"] - changes["removed"] + found.counts["embedded"]


@settings(max_examples=300)
@given(nights(), FORMATS, st.data())
def test_each_row_that_is_lost_doubled_or_swapped_is_an_error(
    night: Night, formats: list[str], data: st.DataObject
) -> None:
    found = night.found(formats)
    files = [i for i, (kind, value) in enumerate(found) if kind in ("embeddings", "failures") and value.uris.count]
    assume(files)
    i = data.draw(st.sampled_from(files))
    kind, file = found[i]
    after = night.rows_after if kind == "embeddings" else night.failures_after
    one = UriSum.of(
        [data.draw(st.sampled_from([uri for part in halves(after) if UriSum.of(part) == file.uris for uri in part]))]
    )
    other = UriSum.of(["/another"])
    uris = {"lost": file.uris - one, "doubled": file.uris + one, "swapped": file.uris - one + other}
    for tampered in uris.values():
        found[i] = (kind, dataclasses.replace(file, uris=tampered))
        with pytest.raises(AccountingError):
            account(found)


@given(nights(), st.data())
def test_a_row_that_is_dropped_by_mistake_or_stays_by_mistake_is_an_error(night: Night, data: st.DataObject) -> None:
    found = night.found(["parquet"])
    files = [
        i
        for i, (kind, value) in enumerate(found)
        if kind == "standing" and value.uris.count and "parquet" in value.name
    ]
    assume(files)
    i = data.draw(st.sampled_from(files))
    uri = data.draw(st.sampled_from(sorted(night.rows)))
    file, one = found[i][1], UriSum.of([uri])
    dropped = file.dropped_uris - one if uri in night.dropped else file.dropped_uris + one
    found[i] = ("standing", dataclasses.replace(file, dropped_uris=dropped))
    with pytest.raises(AccountingError):
        account(found)


@given(nights(), st.data())
def test_a_sum_of_inputs_that_misses_one_is_an_error(night: Night, data: st.DataObject) -> None:
    found = night.found(["parquet"])
    kinds = ("inputs", "duplicates", "skipped", "known_failures", "revised", "dropped")
    sums = [i for i, (kind, value) in enumerate(found) if kind in kinds and value.count]
    assume(sums)
    del found[data.draw(st.sampled_from(sums))]
    with pytest.raises(AccountingError):
        account(found)


def test_formats_that_stood_differently_are_an_error() -> None:
    files = [("standing", stood(format_, "OLD", NAMES[:n], set())) for format_, n in (("parquet", 2), ("tfrecord", 3))]
    with pytest.raises(AccountingError, match=r"different rows of earlier runs; rows: \{'parquet': 2, 'tfrecord': 3\}"):
        account(files)
