"""All that earlier runs left in an output folder: rows and failures that stand, parts of runs that ended early."""

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import AsIter

from transforms.core.image_versions import ETAG, GENERATION, LAST_MODIFIED
from transforms.core.uri_sum import uri_hash
from transforms.storage.files import read_locally
from transforms.update.outcomes import Held, HeldFailure, HeldRow
from transforms.update.rows import ABSENT, Rows, hash8, merged, rows_of
from transforms.write.shard_format import EmbeddingsFormat

UNFINISHED = (OSError, EOFError, ValueError, RuntimeError, LookupError)
"""What reading a part raises that its run did not finish: Arrow's errors are among them."""

ASKED = (GENERATION, ETAG, LAST_MODIFIED)
"""Kinds of versions that storage has to be asked about."""


@dataclasses.dataclass(frozen=True)
class KnownFile:
    """A file of earlier runs.

    Attributes:
      path: the whole path.
      is_part: whether it is a part of a run that ended early, rather than a file of the collection.
      format: output format of a file of embeddings, '' for failures.
    """

    path: str
    is_part: bool
    format: str


@dataclasses.dataclass(frozen=True)
class Known:
    """What the files of earlier runs hold.

    Attributes:
      rows: rows that stand.
      parts: rows in parts.
      failures: failures, by the hashes of their uris.
    """

    rows: Rows
    parts: Rows
    failures: Mapping[bytes, HeldFailure]

    @classmethod
    def all(cls, found: Iterable["Known"]) -> "Known":
        """Return all that several hold; a failure that stands before one of a part."""
        every = list(found)
        failures = {}
        for is_part in (True, False):
            for one in every:
                failures.update({uri: found for uri, found in one.failures.items() if found.is_part is is_part})
        return cls(merged(one.rows for one in every), merged(one.parts for one in every), failures)

    def held(self, hashes: list[bytes], carried: list[int]) -> list[Held]:
        """Return what is there for some uris: bytes [N][16], hashes of carried columns [N] -> Held [N]."""
        rows, parts = _held(self.rows, hashes, carried), _held(self.parts, hashes, carried)
        failures = map(self.failures.get, hashes)
        return [Held(*one) for one in zip(rows, parts, failures, strict=True)]


def _held(rows: Rows, hashes: list[bytes], carried: list[int]) -> Iterator[HeldRow | None]:
    at = rows.uris.find(hashes)
    for position, columns in zip(at.tolist(), carried, strict=True):
        yield None if position == ABSENT else _row(rows, position, columns)


def _row(rows: Rows, position: int, carried: int) -> HeldRow:
    return HeldRow(
        int(rows.version[position]),
        int(rows.carried[position]) == carried,
        int(rows.sha256[position]),
        int(rows.file[position]),
        rows.asked[position],
    )


def known_of(number: int, file: KnownFile, formats: Mapping[str, EmbeddingsFormat]) -> Known:
    """Read what a file holds.

    Args:
      number: the file's number.
      file: the file; a part that its run did not finish holds nothing.
      formats: the collection's formats by name.
    """
    with contextlib.suppress(*(UNFINISHED if file.is_part else ())):
        if not file.format:
            failures = _failures(number, file)
            return Known(merged([]), merged([]), failures)
        rows = _rows(number, file, formats[file.format])
        return Known(merged([]), rows, {}) if file.is_part else Known(rows, merged([]), {})
    return Known.all([])


def _rows(number: int, file: KnownFile, format_: EmbeddingsFormat) -> Rows:
    found = []
    for uris, versions, sha256, carried in format_.keys(file.path):
        values = {
            "version": [hash8(version) for version in versions],
            "carried": [carried_hash(value) for value in carried],
            "sha256": [sha256_start(value) for value in sha256],
            "file": np.full(len(uris), number, np.uint32),
            "asked": [version if version.startswith(ASKED) else "" for version in versions],
        }
        found.append(rows_of([uri_hash(uri) for uri in uris], values))
    return merged(found)


def carried_hash(comparable: object) -> int:
    """Return the hash of carried columns, as a format makes them comparable."""
    return hash8(repr(comparable)) if comparable != () else 0


def sha256_start(sha256: str) -> int:
    """Return the first 8 bytes of a sha256 in hex as a number."""
    return int(sha256[:16], 16)


def _failures(number: int, file: KnownFile) -> dict[bytes, HeldFailure]:
    found = {}
    with read_locally(file.path) as local, open(local, "rb") as f:
        for line in f:
            row = json.loads(line)
            found[uri_hash(row["uri"])] = HeldFailure(
                row.get("version", ""),
                row["kind"] == "transient",
                number,
                is_part=file.is_part,
                of_list=row["stage"] == "read",
            )
    return found


@dataclasses.dataclass
class ReadKnown(beam.PTransform):
    """Read what the files of earlier runs hold: PBegin -> one Known.

    Args:
      files: the files, by their numbers.
      formats: the collection's formats by name.
    """

    files: Sequence[KnownFile]
    formats: Mapping[str, EmbeddingsFormat]

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, root: Any) -> Any:
        files = root | beam.Create(list(enumerate(self.files)), reshuffle=True)
        read = files | "Read" >> beam.Map(lambda one, formats: known_of(one[0], one[1], formats), self.formats)
        # A combiner would write and read all of it twice more.
        return root | "Once" >> beam.Create([None]) | "All" >> beam.Map(lambda _, every: Known.all(every), AsIter(read))
