"""Shards are complete and free of orphans, in files that appear whole."""

import dataclasses
import itertools
import pathlib
import random
from collections.abc import Iterable, Iterator

import apache_beam as beam
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from tests.servers.gcs import GcsServer
from transforms.collection.layout import FileKind
from transforms.core.uri_sum import UriSum
from transforms.write.shard_format import ShardFormat
from transforms.write.shard_plan import Part, Shard
from transforms.write.shards import PlanShards, WriteParts, WriteShard, WriteShards

NUMBERS = FileKind("texts", "numbers", ".txt")


@dataclasses.dataclass(frozen=True)
class Lines(ShardFormat):
    """Numbers as lines of text, in parts of three."""

    kind: FileKind = NUMBERS
    rows_per_part: int = 3

    def encode(self, elements: list[int]) -> list[str]:
        return [f"{n}\n" for n in elements]

    def uris(self, chunk: list[str]) -> list[str]:
        return [line.strip() for line in chunk]

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
        assert_that(written | beam.Map(lambda f: (f.name, f.uris.count)), equal_to([(name, 25) for name in names]))
    assert sorted(f"texts/{path.name}" for path in (tmp_path / "texts").iterdir()) == names
    lines = [line for name in names for line in (tmp_path / name).read_text().splitlines()]
    assert sorted(map(int, lines)) == list(range(100))


def test_a_written_file_says_its_size(tmp_path: pathlib.Path) -> None:
    with beam.Pipeline(runner=FnApiRunner()) as p:
        written = p | beam.Create([1, 22, 333]) | WriteShards(Lines(), str(tmp_path), "run", None, 1 << 20)
        assert_that(written | beam.Map(lambda f: (f.name, f.uris.count, f.num_bytes)), equal_to([(ONE, 3, 9)]))


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
    assert (written.uris, written.num_bytes) == (UriSum.of("123456"), 12)


def test_a_shard_that_is_written_again_replaces_itself(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.txt").write_text("0\n1\n")
    write = WriteShard(Lines(), str(tmp_path), str(tmp_path))
    for _ in range(2):
        assert [w.uris.count for w in write.process(Shard("s.txt", ((str(tmp_path / "a.txt"), 0, 2),)))] == [2]
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


def left(folder: str, name: str, numbers: range) -> Part:
    """Return a part with numbers as lines."""
    text = "".join(f"{n}\n" for n in numbers)
    path = f"{folder}/.run-run/{name}.txt"
    with FileSystems.create(path) as f:
        f.write(text.encode())
    return Part(path, len(numbers), len(text))


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_that_is_made_again_from_other_parts_is_the_first_one(tmp_path: pathlib.Path, seed: int) -> None:
    """As where the executor that wrote the parts was lost: no row is lost or doubled. (1g)"""
    random_, output = random.Random(seed), str(tmp_path)
    cuts = [sorted(random_.sample(range(1, 40), random_.randint(1, 6))) for _ in range(2)]
    first, again = (
        [left(output, f"{i}{a}", range(a, b)) for a, b in itertools.pairwise([0, *bounds, 40])]
        for i, bounds in enumerate(cuts)
    )
    plan = PlanShards(Lines(), output, "run", random_.randint(1, 7), 1)
    planned, repeated = plan(first), plan(again)
    assert repeated == planned
    write = WriteShard(Lines(), output, f"{output}/.run-run")
    # Each shard is written by the plan of either try.
    written = [next(write.process(random_.choice(pair))) for pair in zip(planned, repeated, strict=True)]
    lines = [line for file in written for line in (tmp_path / file.name).read_text().split()]
    assert sorted(map(int, lines)) == list(range(40))
    assert UriSum.total(file.uris for file in written) == UriSum.of(map(str, range(40)))


def test_a_plan_that_is_made_again_in_a_bucket_is_the_first_one(strict_gcs: GcsServer) -> None:
    output = f"gs://{strict_gcs.bucket}/out"
    plan = PlanShards(Lines(), output, "run", 2, 1)
    first = plan([left(output, "a", range(5))])
    assert plan([left(output, "b", range(3)), left(output, "c", range(3, 5))]) == first


def test_what_is_written_to_the_disk_passes_through_no_temporary_folder(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed leaves nothing outside of its output folder. (1i)"""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a temporary folder was made")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    write = WriteParts(Lines(), f"{tmp_path}/.run-run")
    write.start_bundle()
    (part,) = [*write.process(1), *write.process(2), *(w.value for w in write.finish_bundle())]
    shards = PlanShards(Lines(), str(tmp_path), "run", 1, 1)([part])
    assert [w.uris.count for w in WriteShard(Lines(), str(tmp_path), f"{tmp_path}/.run-run").process(shards[0])] == [2]


def test_shards_are_written_to_a_bucket(gcs: GcsServer) -> None:
    output = f"gs://{gcs.bucket}/out"
    with beam.Pipeline(runner=FnApiRunner()) as p:
        written = p | beam.Create([1, 22, 333]) | WriteShards(Lines(), output, "run", None, 1 << 20)
        assert_that(written | beam.Map(lambda f: (f.name, f.uris.count, f.num_bytes)), equal_to([(ONE, 3, 9)]))
    assert sorted(gcs.get(f"out/{ONE}").split()) == [b"1", b"22", b"333"]
    assert [name for name in gcs.names("out/") if not name.startswith("out/.run-run/")] == [f"out/{ONE}"]
