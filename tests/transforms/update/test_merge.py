"""What is new is merged with what stands: rows, failures, files and sums are those that dictionaries predict."""

import pathlib
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that

from tests import collection_files as files
from transforms.collection.layout import path_of
from transforms.core.elements import Embedding, ImageUri
from transforms.core.failures import Failure
from transforms.core.uri_sum import UriSum, uri_hash
from transforms.update.compare import Note, Settled
from transforms.update.fetching import Standing
from transforms.update.known import Known, KnownFile, known_of
from transforms.update.merge import FilesOf, MergeWithStanding
from transforms.update.outcomes import Held, HeldFailure, Outcome
from transforms.write.failures import FailuresFormat
from transforms.write.shard_plan import StandingFile

FORMATS = {"parquet": files.parquet(), "": FailuresFormat()}
ROWS = [files.embedding(f"/{name}", "generation:1", label=1) for name in ("same", "revised", "changed", "gone")]
FAILURES = [files.failure(f"/{name}", "generation:1") for name in ("known", "healed", "vanished")]
FAILURES.append(files.failure("/row", stage="read"))


def checked(check: Callable[[list[Any]], object]) -> Callable[[list[Any]], None]:
    def matcher(found: list[Any]) -> None:
        assert check(found)

    return matcher


@pytest.mark.parametrize("remove_missing", [False, True])
def test_what_stood_is_kept_revised_replaced_or_removed(remove_missing: bool, tmp_path: pathlib.Path) -> None:
    part = files.write(FORMATS["parquet"], tmp_path / ".run-DEAD" / "0.parquet", [files.embedding("/taken", label=1)])
    standing = [
        files.standing(tmp_path, FORMATS["parquet"], "A", ROWS[:2]),
        files.standing(tmp_path, FORMATS["parquet"], "B", ROWS[2:]),
        files.standing(tmp_path, FORMATS[""], "A", FAILURES),
    ]
    known_files = [
        *(
            KnownFile(path_of(str(tmp_path), file.name), False, "parquet" if i < 2 else "")
            for i, file in enumerate(standing)
        ),
        KnownFile(part, True, "parquet"),
    ]
    known = Known.all(known_of(i, file, {"parquet": FORMATS["parquet"]}) for i, file in enumerate(known_files))
    uris = ["/same", "/revised", "/changed", "/taken", "/known", "/healed", "/new"]
    hashes = dict(zip(uris, map(uri_hash, uris), strict=True))
    held: dict[str, Held] = dict(zip(uris, known.held(list(hashes.values()), [0] * len(uris)), strict=True))

    def source(uri: str) -> ImageUri:
        return ImageUri(uri, {"label": 2}, "generation:2", held={"x": held[uri]})

    settled = [
        Settled.of("x", Outcome.REVISE, source("/revised"), held["/revised"]),
        Settled.of("x", Outcome.TAKE, source("/taken"), held["/taken"]),
    ]
    seen = known.rows.uris.find([hashes[uri] for uri in ("/same", "/revised", "/changed")])
    notes = [
        Note("x", "skipped", UriSum.of(["/same"])),
        Note("x", "failed", UriSum.of(["/known"])),
        Note("x", "seen", seen[:1]),
        Note("x", "seen", seen[1:]),
        Note("x", "seen_failures", [hashes["/known"], hashes["/healed"]]),
        Note("x", "stale_failures", [hashes["/healed"]]),
    ]
    made = [files.embedding(uri, "generation:2", uri * 2, label=2) for uri in ("/changed", "/healed", "/new")]
    made = [Embedding(source(one.source.uri), one.facts, one.embedding) for one in made]

    def check_rows(found: list[Embedding]) -> bool:
        vectors = {one.source.uri: (one.source.version, one.embedding.tolist()) for one in found}
        assert len(vectors) == len(found)
        return vectors == {
            "/revised": ("generation:2", ROWS[1].embedding.tolist()),
            "/taken": ("generation:2", files.embedding("/taken").embedding.tolist()),
        }

    dropped = {"/revised", "/changed", "/healed", "/row", *(["/gone", "/vanished"] if remove_missing else [])}

    def check_files(found: list[StandingFile]) -> bool:
        left = {file.name: file for file in found}
        for file, rows in zip(standing, (ROWS[:2], ROWS[2:], FAILURES), strict=True):
            names = [row.source.uri for row in rows]
            assert left[file.name].dropped == tuple(i for i, uri in enumerate(names) if uri in dropped)
            assert left[file.name].dropped_uris == UriSum.of(dropped & set(names))
        return len(found) == len(standing)

    def check_sums(found: list[tuple[str, UriSum]]) -> bool:
        gone = UriSum.of(["/gone"])
        expected = {
            "skipped": UriSum.of(["/same", "/revised"]),
            "revised": UriSum.of(["/revised"]),
            "taken_over": UriSum.of(["/taken"]),
            "known_failures": UriSum.of(["/known"]),
            "dropped": UriSum.of(["/revised", "/changed", *(["/gone"] if remove_missing else [])]),
            "gone": gone,
            "removed": gone if remove_missing else UriSum(),
        }
        return dict(found) == expected and len(found) == len(expected)

    with beam.Pipeline(FnApiRunner()) as root:
        stands = Standing(
            root | "Known" >> beam.Create([known]),
            root | "Settled" >> beam.Create(settled).with_output_types(Settled),
            root | "Notes" >> beam.Create(notes),
        )
        new = root | "Made" >> beam.Create(made).with_output_types(Embedding)
        unread = root | "Unread" >> beam.Create([files.failure("/list#row=1", stage="read", reason="no_uri")])
        merge = MergeWithStanding(
            "x", str(tmp_path), stands, known_files, standing, FORMATS, "parquet", unread, remove_missing
        )
        (embeddings,), (failures,), left, accounted = new | merge
        assert_that(embeddings, checked(check_rows), "Rows")
        assert_that(failures, checked(lambda found: found == []), "Failures")
        assert_that(left, checked(check_files), "Files")
        assert_that(accounted["sums"], checked(check_sums), "Sums")


def test_failures_of_a_part_are_taken_over(tmp_path: pathlib.Path) -> None:
    path = files.write_failures(tmp_path / ".run-DEAD" / "0.jsonl", [files.failure("/lost", "generation:1")])
    held = Held(failure=HeldFailure("generation:1", False, 0, is_part=True))
    source = ImageUri("/lost", {"label": 7}, "generation:1")
    with beam.Pipeline(FnApiRunner()) as root:
        stands = Standing(
            root | "Known" >> beam.Create([Known.all([])]),
            root | "Settled" >> beam.Create([Settled.of("x", Outcome.FAILED, source, held)]),
            root | "Notes" >> beam.Create([]),
        )
        new, unread = root | "Made" >> beam.Create([]), root | "Unread" >> beam.Create([])
        merge = MergeWithStanding(
            "x", str(tmp_path), stands, [KnownFile(path, True, "")], [], FORMATS, "parquet", unread
        )
        (embeddings,), (failures,), left, accounted = new | merge

        def check(found: list[Failure]) -> bool:
            (one,) = found
            return (one.source.uri, one.source.columns, one.message) == ("/lost", {"label": 7}, "no /lost")

        assert_that(failures, checked(check), "Failures")
        assert_that(embeddings, checked(lambda found: found == []), "Rows")
        assert_that(left, checked(lambda found: found == []), "Files")
        assert_that(accounted["sums"], checked(lambda found: all(sum_ == UriSum() for _, sum_ in found)), "Sums")


@pytest.mark.parametrize("format_", ["parquet", "tfrecord", ""])
def test_the_files_of_one_format_are_told_from_the_others(format_: str) -> None:
    names = {
        "parquet": "parquet/embeddings-A-00000-of-00001.parquet",
        "tfrecord": "tfrecord/embeddings-A-00000-of-00001.tfrecord.gz",
        "": "failures/failures-A-00000-of-00001.jsonl",
    }
    with beam.Pipeline(FnApiRunner()) as root:
        found = root | beam.Create([StandingFile(name, UriSum(1, 2), 3) for name in names.values()]) | FilesOf(format_)
        assert found.element_type is StandingFile
        assert_that(found, checked(lambda files: [file.name for file in files] == [names[format_]]))
