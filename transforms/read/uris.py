"""Read image uris from single paths, folders, globs and uri lists."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa

from transforms.core.elements import ImageUri
from transforms.core.errors import UsageError
from transforms.core.failures import FAILURES, Failure
from transforms.core.stage import Stage, typed
from transforms.core.uri_sum import UriSum
from transforms.read.each_once import COUNTS, FirstOfEach, ReadRows, read_in_order
from transforms.read.rows import read_source
from transforms.read.shared import MustSee
from transforms.read.sources import find_sources, in_parts
from transforms.read.uri_lists import UriList, carried_by
from transforms.storage.paths import fixed_part


class Uris(NamedTuple):
    """Outputs of `ReadImageUris`; `counts` are (name, UriSum), with the names 'inputs' and 'duplicates'."""

    uris: beam.PCollection[ImageUri]
    unread: beam.PCollection[Failure]
    counts: beam.PCollection[tuple[str, UriSum]]


@dataclasses.dataclass
class ReadImageUris(Stage):
    """Read uris, each once: PBegin -> Uris(ImageUri, Failure, counts).

    Inputs are looked up on construction, so that mistakes are reported before anything runs.

    Args:
      inputs: images, folders (recursive, without hidden files), globs and uri lists, on any Beam filesystem. Files that
        a folder or a glob lists, and whose suffix is of no image, are failures.
      uri_column: column of the uri lists that holds the uri; the other columns are carried along.
      version_column: column of the uri lists that says which version of an image is meant; '' if none does.
      one_reader: whether one process reads all inputs, in their order: the first uri leaves at once, and no row is held
        for a grouping. For a pipeline that runs in one process; several workers would wait for one.
      must_see: paths that every process must see before it reads, or passes on, anything; for several workers.

    Raises:
      UsageError: an input matches nothing, or a uri list cannot be used.
    """

    inputs: list[str]
    uri_column: str = "uri"
    version_column: str = ""
    one_reader: bool = False
    must_see: Sequence[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sources = find_sources(self.inputs)
        lists = [UriList(source.path, source.partitions) for source in self.sources if source.kind == "list"]
        if self.version_column and not lists:
            raise UsageError(f"--version_column {self.version_column} names a column, but no --input is a uri list")
        self.carried = carried_by(lists, self.uri_column, self.version_column)

    @property
    def columns(self) -> pa.Schema:
        """The carried columns of all uri lists, with the types that the output gives them."""
        return self.carried.schema

    def carry(self, columns: pa.Schema) -> None:
        """Give the carried columns the types, and the order, of a schema that has all of them."""
        self.carried = dataclasses.replace(self.carried, schema=columns)

    @property
    def folders(self) -> tuple[str, ...]:
        """The lists, and the folders of the files, that are read."""
        # A glob may begin with a part of a name, which is there for nobody.
        found = (
            s.path if s.kind == "list" else "".join(fixed_part(s.path).rpartition("/")[:2])
            for s in self.sources
            if s.kind != "image"
        )
        return tuple(dict.fromkeys(found))

    @property
    def num_inputs(self) -> int | None:
        """The number of inputs, None if files have to be listed for it."""
        kinds = [source.kind for source in self.sources]
        return None if "files" in kinds else kinds.count("image") + self.carried.num_rows

    def rows(self) -> Iterator[ImageUri | None]:
        """Read the uris in this process, without Beam, including duplicates; None for a row that cannot be read."""
        for source in self.sources:
            for row in read_source(source, self.carried):
                yield None if isinstance(row, Failure) else row

    def expand(self, root: Any) -> Uris:
        if self.one_reader:
            read = (
                root
                | "Sources" >> beam.Create([self.sources])
                | "Read" >> beam.FlatMap(read_in_order, self.carried).with_outputs(FAILURES, COUNTS, main="uris")
            )
            return Uris(typed(read.uris, ImageUri), typed(read[FAILURES], Failure), read[COUNTS])
        read = (
            root
            | "Sources" >> beam.Create(in_parts(self.sources, self.carried.parts))
            | "SpreadSources" >> beam.Reshuffle()
            | "Probe" >> beam.ParDo(MustSee(self.must_see))
            | "Read" >> beam.ParDo(ReadRows(self.carried)).with_outputs(COUNTS, main="rows")
        )
        unique = (
            read.rows
            | "ByUri" >> beam.GroupByKey()
            | "Unique" >> beam.ParDo(FirstOfEach()).with_outputs(FAILURES, COUNTS, main="uris")
        )
        uris = unique.uris | "ProbeAgain" >> beam.ParDo(MustSee(self.must_see))
        counts = (read[COUNTS], unique[COUNTS]) | "Counts" >> beam.Flatten() | beam.CombinePerKey(UriSum.total)
        return Uris(typed(uris, ImageUri), typed(unique[FAILURES], Failure), counts)
