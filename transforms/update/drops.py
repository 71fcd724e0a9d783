"""The rows and failures that no longer stand, and the files that hold them."""

import dataclasses
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from transforms.core.elements import Embedding
from transforms.core.failures import Failure
from transforms.core.uri_sum import UriSum, uri_hash
from transforms.update.compare import Settled
from transforms.update.known import Known
from transforms.update.outcomes import stands
from transforms.update.rows import ABSENT, UriHashes
from transforms.write.shard_format import ShardFormat
from transforms.write.shard_plan import StandingFile

LOG = logging.getLogger(__name__)

HIDE_NO_URI = ("no_uri", "other_file")
"""Reasons for failures of reading the input that leave no uri in doubt."""


@dataclasses.dataclass(frozen=True)
class Drops:
    """Hashes of the uris whose rows and failures are dropped from the files that stand.

    Attributes:
      rows: of rows.
      failures: of failures.
      gone: sum of the uris of rows that no input names any more.
      removed: sum of those of them whose rows are dropped for that.
    """

    rows: UriHashes
    failures: UriHashes
    gone: UriSum
    removed: UriSum


def replaced_by(embedding: Embedding, collection: str) -> Iterator[bytes]:
    """Yield the hash of an embedding's uri if the collection has a row of it, which does not stand any more."""
    held = (embedding.source.held or {}).get(collection)
    if held and held.row:
        yield uri_hash(embedding.source.uri)


def replaced_again(settled: Settled) -> Iterator[bytes]:
    """Yield the hash of a settled uri if its row is written again in the place of one that stands."""
    if settled.replaces:
        yield uri_hash(settled.source.uri)


def drops_of(
    replaced: Iterable[bytes],
    notes: Iterable[tuple[str, Any]],
    known: Known,
    remove_missing: bool,
    unread: Iterable[Failure] = (),
) -> Drops:
    """Return what is dropped.

    Args:
      replaced: hashes of the uris that have a new row.
      notes: (kind, value) of the `Note`s of all bundles.
      known: what the collection holds.
      remove_missing: whether rows and failures go whose uris no input names any more. None go if not all of the input
        could be read, since it may name them.
      unread: the failures of reading it.
    """
    seen, seen_failures, stale = np.zeros(len(known.rows), bool), set[bytes](), set[bytes]()
    for kind, value in notes:
        if kind == "seen":
            seen[value] = True
        elif kind == "seen_failures":
            seen_failures.update(value)
        elif kind == "stale_failures":
            stale.update(value)
    if remove_missing and any(failure.reason not in HIDE_NO_URI for failure in unread):
        LOG.warning("not all of the input could be read: nothing is removed for being gone from it")
        remove_missing = False
    gone = known.rows.uris.at(np.flatnonzero(~seen))
    standing = {uri for uri, failure in known.failures.items() if stands(failure)}
    # What could not be read is said anew by each run that reads the input.
    stale |= {uri for uri in standing if known.failures[uri].of_list}
    rows = set(replaced)
    if remove_missing:
        rows.update(gone)
        stale |= standing - seen_failures
    missing = UriSum.of_hashes(gone)
    return Drops(UriHashes.of(list(rows)), UriHashes.of(list(stale)), missing, missing if remove_missing else UriSum())


def without_dropped(file: StandingFile, path: str, dropped: UriHashes, format_: ShardFormat) -> StandingFile:
    """Return a file that stands with the numbers of the rows in it that no longer do; it is read if any may be."""
    if not len(dropped):
        return file
    numbers, sums, first = [], [UriSum()], 0
    for uris in format_.uris_in(path):
        hashes = [uri_hash(uri) for uri in uris]
        at = np.flatnonzero(dropped.find(hashes) != ABSENT)
        sums.append(UriSum.of_hashes(hashes[i] for i in at))
        numbers += (at + first).tolist()
        first += len(uris)
    return dataclasses.replace(file, dropped=tuple(numbers), dropped_uris=UriSum.total(sums))
