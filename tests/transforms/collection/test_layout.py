"""Every name that is made in an output folder is parsed back, and no foreign name is taken for one of ours."""

import datetime
import subprocess
import sys

import pytest

from transforms.collection import layout
from transforms.collection.layout import (
    EMBEDDINGS,
    FAILURES,
    FEATURES,
    MANIFEST,
    OWNER,
    FileKind,
    date_of,
    format_of,
    is_scratch,
    name_of,
    new_run_id,
    owner_path,
    path_of,
    run_of,
    scratch_folder,
)

KINDS = {**EMBEDDINGS, "failures": FAILURES}
RUN = "20261128T231929-a1b2c3"


def test_the_names_are_those_of_the_documentation() -> None:
    made = {kind.shard_name("RUN", 1, 12) for kind in KINDS.values()}
    assert made == {
        "parquet/embeddings-RUN-00001-of-00012.parquet",
        "tfrecord/embeddings-RUN-00001-of-00012.tfrecord.gz",
        "failures/failures-RUN-00001-of-00012.jsonl",
    }
    assert (MANIFEST, FEATURES) == ("manifest.json", "tfrecord/features.json")
    assert owner_path("out", "RUN") == "out/.run-RUN/owner.json"


@pytest.mark.parametrize("run_id", [RUN, "RUN", "a-00001-of-00002", "my run", "é", "1.5"])
@pytest.mark.parametrize(("index", "count"), [(0, 1), (4, 5), (99_999, 100_000), (123_456, 1_234_567)])
def test_every_shard_that_is_named_is_parsed_back(run_id: str, index: int, count: int) -> None:
    for format_, kind in KINDS.items():
        name = kind.shard_name(run_id, index, count)
        assert run_of(name) == run_id
        assert format_of(name) == ("" if kind is FAILURES else format_)
        assert kind.names(name)
        assert not is_scratch(name)


@pytest.mark.parametrize("run_id", [RUN, "my run"])
@pytest.mark.parametrize("output", ["/out", "/out/", "gs://bucket/out", "gs://bucket/out/", "out[1]"])
def test_everything_in_a_scratch_folder_is_its_runs(output: str, run_id: str) -> None:
    paths = [owner_path(output, run_id)]
    paths += [path_of(scratch_folder(output, run_id), kind.part_name()) for kind in KINDS.values()]
    for path in paths:
        name = name_of(path, output)
        assert (run_of(name), is_scratch(name), format_of(name)) == (run_id, True, "")
    assert name_of(owner_path(output, run_id), output) == f".run-{run_id}/{OWNER}"


def test_a_path_and_a_name_lead_to_each_other_with_one_slash_between() -> None:
    for output in ("/out", "/out/", "gs://bucket/out", "gs://bucket/out/"):
        assert path_of(output, MANIFEST) == output.rstrip("/") + "/manifest.json"
        assert name_of(path_of(output, FEATURES), output) == FEATURES


@pytest.mark.parametrize(
    "name",
    [
        MANIFEST,
        FEATURES,
        "",
        "notes.txt",
        "parquet/notes.parquet",
        "parquet/embeddings.parquet",
        "parquet/embeddings-mine.parquet",
        f"parquet/embeddings-{RUN}.parquet",
        f"parquet/embeddings-{RUN}-0-of-1.parquet",
        f"parquet/embeddings-{RUN}-00000-of-00001.parquet.bak",
        f"parquet/embeddings-{RUN}-00000-of-00001.tfrecord.gz",
        f"parquet/embeddings-{RUN}-00000-of-00001Xparquet",
        f"parquet/failures-{RUN}-00000-of-00001.parquet",
        f"parquet/old/embeddings-{RUN}-00000-of-00001.parquet",
        f"old/parquet/embeddings-{RUN}-00000-of-00001.parquet",
        f"tfrecord/embeddings-{RUN}-00000-of-00001.parquet",
        f"tfrecord/embeddings-{RUN}-00000-of-00001.tfrecord",
        f"tfrecord/embeddings-{RUN}-00000-of-00001-tfrecord-gz",
        f"failures/embeddings-{RUN}-00000-of-00001.jsonl",
        f"failures/failures-{RUN}-00000-of-00001.json",
        "parquet/embeddings--00000-of-00001.parquet",
        f"parquet/embeddings-{RUN}-00000-of-00001.parquet\n",
        "run-RUN/owner.json",
        "parquet/.run-RUN/0123.parquet",
    ],
)
def test_a_foreign_name_belongs_to_no_run(name: str) -> None:
    assert run_of(name) == ""
    assert not is_scratch(name)


@pytest.mark.parametrize(
    "name",
    [
        f"embeddings-{RUN}-00000-of-00001.parquet",
        f"embeddings-{RUN}-00000-of-00001.tfrecord.gz",
        f"failures-{RUN}-00000-of-00001.jsonl",
        "features.json",
    ],
)
def test_the_flat_names_of_an_older_layout_belong_to_no_run(name: str) -> None:
    assert (run_of(name), format_of(name)) == ("", "")
    assert not any(kind.names(name) for kind in KINDS.values())


def test_no_two_kinds_share_a_folder_so_that_readers_of_others_can_read_one() -> None:
    assert sorted(kind.folder for kind in KINDS.values()) == ["failures", "parquet", "tfrecord"]


def test_a_kind_of_file_names_only_its_own() -> None:
    names = {format_: kind.shard_name(RUN, 0, 1) for format_, kind in KINDS.items()}
    for format_, kind in KINDS.items():
        assert [other for other, name in names.items() if kind.names(name)] == [format_]


def test_parts_have_names_of_their_own_and_the_ending_of_their_kind() -> None:
    kind = FileKind("numbers", "numbers", ".txt")
    names = {kind.part_name() for _ in range(50)}
    assert len(names) == 50
    assert all(name.endswith(".txt") and "/" not in name for name in names)


def test_ids_are_different_and_sort_by_time() -> None:
    ids = [new_run_id() for _ in range(50)]
    assert len(set(ids)) == 50
    assert [i.partition("-")[0] for i in ids] == sorted(i.partition("-")[0] for i in ids)


def test_an_id_says_on_which_day_its_run_began() -> None:
    days = [datetime.datetime.now(datetime.UTC).date()]
    day = date_of(new_run_id())
    days.append(datetime.datetime.now(datetime.UTC).date())
    assert day in [d.isoformat() for d in days]
    assert date_of(RUN) == "2026-11-28"


def test_importing_it_imports_no_library_so_that_flags_can_take_their_choices_from_it() -> None:
    code = f"import sys, {layout.__name__}; print([m for m in ('apache_beam', 'pyarrow', 'numpy') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_names_are_the_same_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sep", "\\")
    name = name_of(rf"C:/out\parquet\embeddings-{RUN}-00000-of-00001.parquet", "C:/out/")
    assert (run_of(name), format_of(name)) == (RUN, "parquet")
