"""Rows and failures of earlier runs that are written again: Settled -> Embedding or Failure, a file at a time."""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from transforms.core.elements import Embedding, ImageUri
from transforms.core.errors import RunError
from transforms.core.failures import FAILURES, Failure
from transforms.core.stage import Stage, typed
from transforms.storage.files import read_locally
from transforms.update.compare import Settled
from transforms.update.known import KnownFile
from transforms.write.shard_format import EmbeddingsFormat


def reread(file: KnownFile, sources: Iterable[ImageUri], formats: Mapping[str, EmbeddingsFormat]) -> Iterator[Any]:
    """Read what a file has of some uris, each of which it has: file, ImageUri -> Embedding or Failure.

    Raises:
      RunError: the file has changed.
    """
    wanted = {source.uri: source for source in sources}
    left = set(wanted)
    found = formats[file.format].embeddings(file.path, wanted) if file.format else _failures(file.path, wanted)
    for one in found:
        # A part may hold a row twice.
        if one.source.uri in left:
            left.remove(one.source.uri)
            yield one
    if left:
        raise RunError(f"{file.path} was changed while it was read: {min(left)} is no longer in it")


def _failures(path: str, wanted: Mapping[str, ImageUri]) -> Iterator[Failure]:
    own = [field.name for field in dataclasses.fields(Failure) if field.name != "source"]
    with read_locally(path) as local, open(local, "rb") as f:
        for line in f:
            row = json.loads(line)
            if source := wanted.get(row["uri"]):
                # Its version is the one that failed, which is the present one.
                yield Failure(source, **{name: row[name] for name in own if name in row})


class Reread(NamedTuple):
    """Outputs of `RereadSettled`."""

    embeddings: beam.PCollection[Embedding]
    failures: beam.PCollection[Failure]


@dataclasses.dataclass
class RereadSettled(Stage):
    """Read again what was settled for one collection: Settled -> Reread(Embedding, Failure).

    Args:
      files: the files that were compared, by their numbers.
      formats: the collection's formats by name.
    """

    takes = Settled

    files: Sequence[KnownFile]
    formats: Mapping[str, EmbeddingsFormat]

    def expand(self, settled: beam.PCollection[Settled]) -> Reread:
        found = (
            settled
            | "ByFile" >> beam.FlatMap(_by_file)
            | beam.GroupByKey()
            | "Read" >> beam.FlatMap(_split, self.files, self.formats).with_outputs(FAILURES, main="embeddings")
        )
        return Reread(typed(found.embeddings, Embedding), typed(found[FAILURES], Failure))


def _by_file(settled: Settled) -> Iterator[tuple[int, tuple[str, Mapping[str, Any], str]]]:
    if settled.file is not None:
        # Plain values take half the room of an `ImageUri`, and a file may have to wait for millions of them.
        yield settled.file, (settled.source.uri, settled.source.columns, settled.source.version)


def _split(grouped: tuple[int, Any], files: Sequence[KnownFile], formats: Mapping[str, EmbeddingsFormat]) -> Any:
    number, sources = grouped
    for found in reread(files[number], itertools.starmap(ImageUri, sources), formats):
        yield TaggedOutput(FAILURES, found) if isinstance(found, Failure) else found
