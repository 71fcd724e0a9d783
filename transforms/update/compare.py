"""Compare uris with what stands, before anything is fetched: only what is new or may have changed goes on."""

import collections
import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from transforms.core.counters import count
from transforms.core.elements import ImageUri
from transforms.core.image_versions import file_version
from transforms.core.uri_sum import UriSum, uri_hash
from transforms.storage.paths import local_path, scheme_of
from transforms.storage.schemes import WEB
from transforms.update.known import Known, carried_hash
from transforms.update.outcomes import Held, Outcome, condition_for, is_tried, outcome_of, outcome_unasked, stands
from transforms.update.rows import ABSENT, hash8
from transforms.write.shard_format import EmbeddingsFormat

COUNTED = {Outcome.SAME: "skipped", Outcome.FAILED: "failed"}
"""Kinds of the sums of what is only counted."""


class Settled(NamedTuple):
    """What was decided about a uri for a collection, without an embedding being made.

    `file` is the number of the file that holds the row or the failure which is written again, None for what stays;
    `replaces` is whether that row replaces one. All that was held is not in it: a list may settle millions at once.
    """

    collection: str
    outcome: Outcome
    source: ImageUri
    file: int | None = None
    replaces: bool = False

    @classmethod
    def of(cls, collection: str, outcome: Outcome, source: ImageUri, held: Held) -> "Settled":
        """Return what is settled by what was held of a uri."""
        again = {Outcome.REVISE: held.row, Outcome.TAKE: held.part, Outcome.FAILED: held.failure}.get(outcome)
        is_row = outcome in (Outcome.REVISE, Outcome.TAKE)
        source = dataclasses.replace(source, held=None, known_version="")
        return cls(collection, outcome, source, again.file if again else None, is_row and held.row is not None)


class Note(NamedTuple):
    """What a bundle of uris says of a collection.

    `kind` is 'skipped' or 'failed', with a `UriSum` of uris that need no element of their own; 'seen', with the
    positions of rows; 'seen_failures' or 'stale_failures', with hashes of uris.
    """

    collection: str
    kind: str
    value: Any


@dataclasses.dataclass(frozen=True)
class Rules:
    """How uris are compared with one collection.

    Attributes:
      name: the collection's name in this run.
      format_name: name of the format that its rows are read from.
      format: that format.
      retry: which earlier failures are tried again, one of `transforms.collection.choices.RETRIES`.
      recheck_http: whether servers are asked if known images changed.
    """

    name: str
    format_name: str
    format: EmbeddingsFormat
    retry: str = "transient"
    recheck_http: bool = True


def version_here(uri: str) -> str:
    """Return the version of a local path or file:// uri, '' if there is nothing to be looked at."""
    try:
        found = os.stat(local_path(uri) if scheme_of(uri) else uri)
    except (OSError, ValueError):
        return ""
    return file_version(found.st_mtime_ns, found.st_size)


def version_now(source: ImageUri) -> str | None:
    """Return the present version of an image; None if only its storage knows."""
    if source.version:
        return source.version
    return version_here(source.uri) if scheme_of(source.uri) in ("", "file") else None


def decide(source: ImageUri, version: str | None, held: Held, rules: Rules) -> Outcome:
    """Decide what is done about a uri for one collection, as far as can be said without a request."""
    if version is not None:
        return outcome_of(held, version, rules.retry)
    # A run that ended early and the one that goes on from it are as one run, which asks once.
    if (held.part and not held.row) or (scheme_of(source.uri) in WEB and not rules.recheck_http):
        return outcome_unasked(held, rules.retry)
    if held.failure and not (held.failure.version or held.row or held.part) and not is_tried(held.failure, rules.retry):
        return Outcome.FAILED
    return Outcome.FETCH


class Comparison:
    """Compare uris with collections: [ImageUri] -> those to fetch; the rest is settled, or summed until the end.

    Args:
      rules: how to compare, for each collection.
    """

    def __init__(self, rules: Sequence[Rules]):
        self._rules = rules
        self._sums: dict[tuple[str, str], UriSum] = collections.defaultdict(UriSum)
        self._lists: dict[tuple[str, str], list[Any]] = collections.defaultdict(list)

    def __call__(self, sources: Sequence[ImageUri], known: Sequence[Known]) -> Iterator[ImageUri | Settled]:
        """Yield the uris to fetch, and what is settled and needs more than to be counted."""
        hashes, versions = [uri_hash(source.uri) for source in sources], list(map(version_now, sources))
        told = np.array([version is not None for version in versions], bool)
        hashed_versions = np.array([hash8(version or "") for version in versions], np.uint64)
        needs: list[dict[str, Held]] = [{} for _ in sources]
        for rules, one in zip(self._rules, known, strict=True):
            carried = [carried_hash(rules.format.comparable(source.columns)) for source in sources]
            at = one.rows.uris.find(hashes)
            self._lists[rules.name, "seen"].append(at[at != ABSENT])
            # Most uris of most runs, so that nothing is made for each of them.
            same = told & one.rows.are_same(at, hashed_versions, np.array(carried, np.uint64))
            same &= np.array([hashed not in one.failures for hashed in hashes], bool)
            counted = {Outcome.SAME: [hashes[i] for i in np.flatnonzero(same)], Outcome.FAILED: list[bytes]()}
            others = np.flatnonzero(~same).tolist()
            all_held = one.held([hashes[i] for i in others], [carried[i] for i in others])
            for i, held in zip(others, all_held, strict=True):
                outcome = decide(sources[i], versions[i], held, rules)
                self._note_failure(rules.name, hashes[i], held, outcome)
                if outcome is Outcome.FETCH:
                    needs[i][rules.name] = held
                elif outcome is Outcome.SAME or (outcome is Outcome.FAILED and stands(held.failure)):
                    counted[outcome].append(hashes[i])
                else:
                    count("uris-settled")
                    yield Settled.of(rules.name, outcome, _with_version(sources[i], versions[i], held), held)
            for outcome, found in counted.items():
                self._sums[rules.name, COUNTED[outcome]] += UriSum.of_hashes(found)
                count("uris-settled", len(found))
        for source, need in zip(sources, needs, strict=True):
            if need:
                condition = condition_for(list(need.values()), self._rules[0].retry)
                yield dataclasses.replace(source, held=need, known_version="" if source.version else condition)

    def notes(self) -> Iterator[Note]:
        """Yield what was summed."""
        for (name, kind), sum_ in self._sums.items():
            yield Note(name, kind, sum_)
        for (name, kind), values in self._lists.items():
            yield Note(name, kind, np.concatenate(values) if kind == "seen" else values)

    def _note_failure(self, name: str, hashed: bytes, held: Held, outcome: Outcome) -> None:
        if stands(held.failure):
            self._lists[name, "seen_failures"].append(hashed)
            if outcome is not Outcome.FAILED:
                self._lists[name, "stale_failures"].append(hashed)


def _with_version(source: ImageUri, version: str | None, held: Held) -> ImageUri:
    if version is None:
        # Not asked for: what is known stays.
        row = held.row or held.part
        version = row.asked if row else held.failure.version if held.failure else ""
    return dataclasses.replace(source, version=version)
