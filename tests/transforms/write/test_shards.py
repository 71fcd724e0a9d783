"""Shards are complete and free of orphans, in files that appear whole."""

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from tests.servers.gcs import GcsServer
from transforms.collection.layout import FileKind
from transforms.write.shard_format import ShardFormat
from transforms.write.shard_plan import Shard
from transforms.write.shards import WriteParts, WriteShard, WriteShards

NUMBERS = FileKind("texts", "numbers", ".txt")


@dataclasses.dataclass(frozen=True)
class Lines(ShardFormat):
    """Numbers as lines of text, in parts of three."""

    kind: FileKind = NUMBERS
    rows_per_part: int = 3

    def encode(self, elements: list[int]) -> list[str]:
        return [f"{n}\n" for n in elements]

    def write(self, path: str, chunks: Iterable[list[str]]) -> None:
        pathlib.Path(path).write_text("".join(line for chunk in chunks for line in chunk))

    def read(self, path: str) -> Iterator[list[str]]:
        lines = pathlib.Path(path).read_text().splitlines(keepends=True)
        yield from (lines[i : i + 2] for i in range(0, len(lines), 2))


def test_every_row_is_written_once_from_several_bundles(tmp_path: pathlib.Path) -> None:
    with beam.Pipeline(runner=FnApiRunner()) as p:
        numbers = p | beam.Create(range(20)) | beam.FlatMap(lambda n: range(5 * n, 5 * n + 5)) | beam.Reshuffle()
        written = numbers | WriteShards(Lines(), str(tmp_path), "run", 4, 1)
        names = [f"texts/numbers-run-{i:05d}-of-00004.txt" for i in range(4)]
        assert_that(written | beam.Map(lambda f: (f.name, f.rows)), equal_to([(name, 25) for name in names]))
    assert sorted(f"texts/{path.name}" for path in (tmp_path / "texts").iterdir()) == names
    lines = [line for name in names for line in (tmp_path / name).read_text().splitlines()]
    assert sorted(map(int, lines)) == list(range(100))


def test_a_written_file_says_its_size(tmp_path: pathlib.Path) -> None:
    with beam.Pipeline(runner=FnApiRunner()) as p:
        written = p | beam.Create([1, 22, 333]) | WriteShards(Lines(), str(tmp_path), "run", None, 1 << 20)
        assert_that(written | beam.Map(lambda f: (f.name, f.rows, f.num_bytes)), equal_to([(ONE, 3, 9)]))


ONE = "texts/numbers-run-00000-of-00001.txt"


def test_an_orphaned_part_is_ignored(tmp_path: pathlib.Path) -> None:
    scratch = tmp_path / ".run-run"
    scratch.mkdir()
    (scratch / "00000000000000000000000000000000.txt").write_text("666\n")
    with beam.Pipeline(runner=FnApiRunner()) as p:
        _ = p | beam.Create([1, 2]) | WriteShards(Lines(), str(tmp_path), "run", None, 1 << 20)
    assert sorted((tmp_path / ONE).read_text().split()) == ["1", "2"]


def test_no_elements_write_no_file(tmp_path: pathlib.Path) -> None:
    with beam.Pipeline(runner=FnApiRunner()) as p:
        _ = p | beam.Create([]) | WriteShards(Lines(), str(tmp_path), "run", 3, 1)
    assert list(tmp_path.rglob("*.txt")) == []


def test_a_bundle_writes_parts_of_bounded_length(tmp_path: pathlib.Path) -> None:
    write = WriteParts(Lines(), str(tmp_path))
    write.start_bundle()
    parts = [part for n in range(7) for part in write.process(n)] + [w.value for w in write.finish_bundle()]
    assert [(part.rows, part.num_bytes) for part in parts] == [(3, 6), (3, 6), (1, 2)]
    assert [pathlib.Path(part.path).read_text() for part in parts] == ["0\n1\n2\n", "3\n4\n5\n", "6\n"]


def test_a_shard_takes_its_rows_only_across_parts_and_chunks(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.txt").write_text("0\n1\n2\n3\n4\n")
    (tmp_path / "b.txt").write_text("5\n6\n7\n")
    shard = Shard("s.txt", ((str(tmp_path / "a.txt"), 1, 5), (str(tmp_path / "b.txt"), 0, 2)))
    (written,) = WriteShard(Lines(), str(tmp_path), str(tmp_path)).process(shard)
    assert (tmp_path / "s.txt").read_text() == "1\n2\n3\n4\n5\n6\n"
    assert (written.rows, written.num_bytes) == (6, 12)


def test_a_shard_that_is_written_again_replaces_itself(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.txt").write_text("0\n1\n")
    write = WriteShard(Lines(), str(tmp_path), str(tmp_path))
    for _ in range(2):
        assert [w.rows for w in write.process(Shard("s.txt", ((str(tmp_path / "a.txt"), 0, 2),)))] == [2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "s.txt"]


def test_a_shard_appears_in_its_folder_once_it_is_whole(tmp_path: pathlib.Path) -> None:
    scratch = tmp_path / ".run-run"
    scratch.mkdir()
    (scratch / "a.txt").write_text("0\n1\n")

    class Watched(Lines):
        def write(self, path: str, chunks: Iterable[list[str]]) -> None:
            assert not (tmp_path / "texts").exists()
            super().write(path, chunks)

    shard = Shard("texts/s.txt", ((str(scratch / "a.txt"), 0, 2),))
    list(WriteShard(Watched(), str(tmp_path), str(scratch)).process(shard))
    assert (tmp_path / "texts" / "s.txt").read_text() == "0\n1\n"
    assert [path.name for path in scratch.iterdir()] == ["a.txt"]


def test_shards_are_written_to_a_bucket(gcs: GcsServer) -> None:
    output = f"gs://{gcs.bucket}/out"
    with beam.Pipeline(runner=FnApiRunner()) as p:
        written = p | beam.Create([1, 22, 333]) | WriteShards(Lines(), output, "run", None, 1 << 20)
        assert_that(written | beam.Map(lambda f: (f.name, f.rows, f.num_bytes)), equal_to([(ONE, 3, 9)]))
    assert sorted(gcs.get(f"out/{ONE}").split()) == [b"1", b"22", b"333"]
    assert [name for name in gcs.names("out/") if not name.startswith("out/.run-run/")] == [f"out/{ONE}"]
