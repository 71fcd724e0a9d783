"""Each uri once: its first row, by source and by place in it, and how many rows there were in all.

One process reads in order and remembers the uris it has given, so that the first leaves before the last is read.
Several group their rows by uri.
"""

import collections
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindows

from transforms.core.counters import count
from transforms.core.elements import ImageUri
from transforms.core.failures import Failure, counted
from transforms.core.uri_sum import UriSum, uri_hash
from transforms.read.rows import read_source
from transforms.read.sources import Source
from transforms.read.uri_lists import Carried

LOG = logging.getLogger(__name__)

COUNTS = "counts"
"""Tag of ('inputs' | 'duplicates', UriSum)."""

AHEAD_STEP = 16
"""Names of a folder that are listed for each one that is given: how many there are is known early."""
AHEAD_LIMIT = 100_000
"""Maximum number of names that are listed ahead, which take 35 MB."""

Row = tuple[tuple[int, int], Mapping[str, Any], str, Failure | None]
"""Where a row of a uri is (its source's index, its number there), its columns and version, and its failure, if any."""

T = TypeVar("T")


def read_in_order(sources: Sequence[Source], carried: Carried) -> Iterator[Any]:
    """Read all sources in order: [Source] -> ImageUri | TaggedOutput(FAILURES | COUNTS, Failure | (name, UriSum))."""
    versions: dict[bytes, int] = {}
    repeated = UriSum()
    count("sources-found", len(sources))
    for source in sources:
        rows = read_source(source, carried)
        for row in ahead(rows) if source.kind == "files" else rows:
            uri = row.source if isinstance(row, Failure) else row
            # Two texts are told apart by their hashes, which are smaller.
            digest, version = uri_hash(uri.uri), hash(uri.version) if uri.version else 0
            if digest not in versions:
                versions[digest] = version
                yield counted(row) if isinstance(row, Failure) else row
                continue
            repeated += UriSum.of_hashes([digest])
            _count_repeated(version and versions[digest] and version != versions[digest])
    LOG.info("stage read ended: %d uris, and %d repeated", len(versions), repeated.count)
    yield TaggedOutput(COUNTS, ("inputs", UriSum.of_hashes(versions) + repeated))
    if repeated.count:
        yield TaggedOutput(COUNTS, ("duplicates", repeated))


def _count_repeated(in_two_versions: object) -> None:
    count("uris-repeated")
    if in_two_versions:
        count("uris-in-two-versions")


def ahead(rows: Iterator[T], step: int = AHEAD_STEP, limit: int = AHEAD_LIMIT) -> Iterator[T]:
    """Yield what an iterator gives, and take `step` from it for each one given, until `limit` are held."""
    held: collections.deque[T] = collections.deque()
    for taken, row in enumerate(rows, 1):
        held.append(row)
        if taken % step == 0 or len(held) > limit:
            yield held.popleft()
    while held:
        yield held.popleft()


class _Sum(beam.DoFn):
    """Gives one sum of uris, by the name `counted`, at the end of each bundle."""

    counted = ""

    def start_bundle(self) -> None:
        self.sum = UriSum()

    def finish_bundle(self) -> Iterator[Any]:
        if self.sum.count:
            yield TaggedOutput(COUNTS, GlobalWindows.windowed_value((self.counted, self.sum)))


class ReadRows(_Sum):
    """Read a source: Source -> (uri, Row) | TaggedOutput(COUNTS, ('inputs', UriSum)).

    Args:
      carried: what the lists carry.
    """

    counted = "inputs"

    def __init__(self, carried: Carried):
        super().__init__()
        self.carried = carried

    def process(self, source: Source) -> Iterator[Any]:
        count("sources-found")
        for number, row in enumerate(read_source(source, self.carried)):
            failure = row if isinstance(row, Failure) else None
            uri = row.source if isinstance(row, Failure) else row
            self.sum += UriSum.of([uri.uri])
            yield uri.uri, ((source.index, number), {} if failure else uri.columns, uri.version, failure)


class FirstOfEach(_Sum):
    """Keep the first row of a uri: (uri, Rows) -> ImageUri | TaggedOutput(FAILURES | COUNTS, Failure | UriSum)."""

    counted = "duplicates"

    def process(self, group: tuple[str, Iterable[Row]]) -> Iterator[Any]:
        uri, rows = group
        (_, columns, version, failure), *others = sorted(rows, key=lambda row: row[0])
        for _, _, other, _ in others:
            self.sum += UriSum.of([uri])
            _count_repeated(version and other and version != other)
        yield counted(failure) if failure else ImageUri(uri, columns, version)
