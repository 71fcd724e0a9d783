"""Shards are complete and free of orphans, in files that appear whole."""

import dataclasses
import itertools
import pathlib
import pickle
import random
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from tests import collection_files as files
from tests.servers.gcs import GcsServer
from transforms.collection.layout import FileKind, is_part
from transforms.core.uri_sum import UriSum
from transforms.write.failures import FailuresFormat
from transforms.write.shard_format import ShardFormat
from transforms.write.shard_plan import Part, Shard, StandingFile, WrittenFile
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


STANDING_FORMATS = {**{name: make() for name, make in files.FORMATS.items()}, "": FailuresFormat()}


def element(uri: str, format_: str) -> Any:
    return files.embedding(uri, label=7) if format_ else files.failure(uri)


def written_over(
    output: pathlib.Path, format_: str, standing: list[StandingFile], new: list[str], shard_bytes: int, **arguments: Any
) -> dict[str, list[str]]:
    """Write uris beside what stands; return the uris of each file of the result, as they are in it."""
    told = output.with_name("told")

    def note(written: list[WrittenFile]) -> None:
        told.write_bytes(pickle.dumps(written))

    shards = STANDING_FORMATS[format_]
    with beam.Pipeline(runner=FnApiRunner()) as p:
        stands = p | "Standing" >> beam.Create(standing).with_output_types(StandingFile)
        elements = p | "New" >> beam.Create([element(uri, format_) for uri in new])
        sink = WriteShards(shards, str(output), "NEW", None, shard_bytes, stands, **arguments)
        assert_that(elements | sink, note)
    found = pickle.loads(told.read_bytes())
    uris = {file.name: list(itertools.chain(*shards.uris_in(f"{output}/{file.name}"))) for file in found}
    assert {file.name: file.uris for file in found} == {name: UriSum.of(rows) for name, rows in uris.items()}
    assert {file.name: file.num_bytes for file in found} == {name: (output / name).stat().st_size for name in uris}
    return uris


@pytest.fixture
def out(tmp_path: pathlib.Path) -> pathlib.Path:
    """An output folder."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def stand(output: pathlib.Path, format_: str, *groups: str, dropped: str = "") -> list[StandingFile]:
    """Write a file for each group of uris of one character, of which some no longer stand."""
    written = [
        files.standing(output, STANDING_FORMATS[format_], f"R{i}", [element(uri, format_) for uri in uris])
        for i, uris in enumerate(groups)
    ]
    return [
        dataclasses.replace(
            file,
            dropped=tuple(i for i, uri in enumerate(uris) if uri in dropped),
            dropped_uris=UriSum.of(uri for uri in uris if uri in dropped),
        )
        for file, uris in zip(written, groups, strict=True)
    ]


@pytest.mark.parametrize("format_", STANDING_FORMATS)
def test_rows_that_stand_are_merged_with_new_ones_and_dropped_ones_are_gone(format_: str, out: pathlib.Path) -> None:
    standing = stand(out, format_, "abcdefg", "hij", "klm", dropped="bgjklm")
    found = written_over(out, format_, standing, ["x", "b"], 1 << 20)
    (uris,) = found.values()
    assert sorted(uris) == sorted("acdefhixb")
    assert [uri for uri in uris if uri in "acdefhi"] == list("acdefhi")


@pytest.mark.parametrize("format_", STANDING_FORMATS)
def test_large_files_that_lose_nothing_stay_as_they_are(format_: str, out: pathlib.Path) -> None:
    standing = stand(out, format_, "abcdefg", "hijklmn", "op", dropped="h")
    size = 2 * min(file.num_bytes for file in standing[:2])
    found = written_over(out, format_, standing, [], size)
    assert found.pop(standing[0].name) == list("abcdefg")
    assert sorted(itertools.chain(*found.values())) == sorted("ijklmnop")
    assert all("-NEW-" in name for name in found)
    # If anything is written again, all is that is small.
    assert standing[2].name not in found


@pytest.mark.parametrize("format_", STANDING_FORMATS)
def test_nothing_is_written_where_nothing_changed(format_: str, out: pathlib.Path) -> None:
    standing = stand(out, format_, "abc")
    assert written_over(out, format_, standing, [], 1 << 20) == {standing[0].name: list("abc")}
    assert [path.name for path in out.iterdir()] == [STANDING_FORMATS[format_].kind.folder]


def test_all_is_written_again_where_that_is_asked_for(out: pathlib.Path) -> None:
    standing = stand(out, "parquet", "abc", "def")
    found = written_over(out, "parquet", standing, [], 1, rewrites=True)
    assert sorted(itertools.chain(*found.values())) == list("abcdef")
    assert all("-NEW-" in name for name in found)


@pytest.mark.parametrize("format_", STANDING_FORMATS)
def test_of_files_that_lose_every_row_nothing_is_left(format_: str, out: pathlib.Path) -> None:
    assert written_over(out, format_, stand(out, format_, "abc", "d", dropped="abcd"), [], 100) == {}


def test_files_that_lose_most_rows_are_not_taken_for_large(out: pathlib.Path) -> None:
    """Else many small files would be left behind."""
    groups = ["".join(chr(256 + 100 * i + j) for j in range(100)) for i in range(4)]
    dropped = "".join(group[:95] for group in groups)
    standing = stand(out, "", *groups, dropped=dropped)
    found = written_over(out, "", standing, [], standing[0].num_bytes)
    assert len(found) == 1


def test_a_part_has_its_name_once_it_is_whole(tmp_path: pathlib.Path) -> None:
    """A later run takes the parts of one that died for finished. (1f)"""

    seen: list[str] = []

    class Watched(FailuresFormat):
        def write(self, path: str, chunks: Iterable[list[bytes]]) -> None:
            super().write(path, chunks)
            seen.append(pathlib.Path(path).relative_to(tmp_path).as_posix())

    write = WriteParts(Watched(), f"{tmp_path}/.run-run")
    write.start_bundle()
    parts = [*write.process(files.failure("/a")), *(w.value for w in write.finish_bundle())]
    (name,) = (path.relative_to(tmp_path).as_posix() for path in (tmp_path / ".run-run").iterdir())
    assert [part.path for part in parts] == [f"{tmp_path}/{name}"]
    assert is_part(name)
    assert not any(map(is_part, seen))


def test_a_part_is_finished_after_a_while_though_it_is_small(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a run that dies loses little."""
    monkeypatch.setattr("transforms.write.shards.PART_SECONDS", 0.0)
    write = WriteParts(Lines(), str(tmp_path))
    write.start_bundle()
    parts = [part for n in range(4) for part in write.process(n)]
    assert [part.rows for part in parts] == [2, 2]
