"""A sink of embeddings is a format, and no more: what it is told is the same for all."""

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from tests.fake_backbone import spec
from transforms import Embedding, ImageFacts, ImageUri
from transforms.collection.layout import FileKind
from transforms.write.embeddings import SHARD_BYTES, WriteEmbeddings
from transforms.write.shard_format import ShardFormat

SPEC = spec()
KIND = FileKind("lists", "uris", ".txt")


@dataclasses.dataclass(frozen=True)
class UrisFormat(ShardFormat):
    """Uris as lines of text."""

    kind: FileKind = KIND

    def encode(self, elements: list[Embedding]) -> list[str]:
        return [f"{element.source.uri}\n" for element in elements]

    def uris(self, chunk: list[str]) -> list[str]:
        return [line.strip() for line in chunk]

    def write(self, path: str, chunks: Iterable[list[str]]) -> None:
        pathlib.Path(path).write_text("".join(line for chunk in chunks for line in chunk))

    def read(self, path: str) -> Iterator[list[str]]:
        yield pathlib.Path(path).read_text().splitlines(keepends=True)


class WriteUris(WriteEmbeddings):
    """A sink that another project might add."""

    def format(self) -> UrisFormat:
        return UrisFormat()


def embedding(i: int) -> Embedding:
    return Embedding(ImageUri(f"/{i}.jpg"), ImageFacts(1, 1, "PNG", ""), np.zeros(2, np.float32))


@pytest.mark.parametrize(
    ("arguments", "files"), [({}, 1), ({"num_shards": 3}, 3), ({"shard_bytes": 14}, 5), ({"num_shards": 99}, 10)]
)
def test_a_new_sink_is_a_format_and_no_more(tmp_path: pathlib.Path, arguments: dict[str, int], files: int) -> None:
    names = [f"lists/uris-RUN-{i:05d}-of-{files:05d}.txt" for i in range(files)]
    with beam.Pipeline(FnApiRunner()) as root:
        embeddings = root | beam.Create([embedding(i) for i in range(10)])
        written = embeddings | WriteUris(str(tmp_path), "RUN", SPEC, **arguments)
        assert_that(written | beam.Map(lambda file: file.name), equal_to(names))
    lines = [line for name in names for line in (tmp_path / name).read_text().split()]
    assert sorted(lines) == [f"/{i}.jpg" for i in range(10)]


def test_a_sink_without_a_format_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="format"):
        WriteEmbeddings("out", "RUN", SPEC)  # type: ignore[abstract]


def test_by_default_there_are_no_carried_columns_no_classes_and_files_of_256_mib() -> None:
    sink = WriteUris("out", "RUN", SPEC)
    assert (sink.columns, sink.top_k, sink.num_shards, sink.shard_bytes) == (None, 0, None, 256 * 2**20)
    assert SHARD_BYTES == 256 * 2**20
    assert WriteUris("out", "RUN", SPEC, pa.schema([("n", pa.int64())]), 5).top_k == 5
