"""Collections through any sequence of changes, runs and kills: they hold what a dictionary predicts, row by row."""

import dataclasses
import hashlib
import io
import itertools
import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from pipelines.command import main
from tests.conftest import sample_image
from tests.forked_runs import ForkedRuns
from tests.servers.gcs import GcsServer
from transforms.collection.choices import VECTOR_TYPES

LIGHT = ["--weights", "random", "--backbone", "MobileNet", "--backbone_kwargs", '{"alpha": 0.25}', "--image_size", "32"]
LIGHT += ["--engine", "tensorflow"]
GOOD, BAD = 5, 2
"""Contents that are images, and that are none."""
NAMES = [f"{name}.png" for name in "abcdef"]
LABELS = ["", "cat", "7", "a,b"]


def content(number: int) -> bytes:
    """Return the bytes of a file: an image for numbers below GOOD."""
    if number >= GOOD:
        return b"no picture %d" % number
    buffer = io.BytesIO()
    sample_image(number, 40, 30).save(buffer, "PNG")
    return buffer.getvalue()


CONTENTS = [content(number) for number in range(GOOD + BAD)]
NUMBER_OF = {hashlib.sha256(data).hexdigest(): number for number, data in enumerate(CONTENTS)}


class Disk:
    """A folder of images, and one for the collection, on the local disk."""

    def __init__(self, root: pathlib.Path):
        self.root, self.clock = root, 0
        (root / "in").mkdir(parents=True)
        self.input, self.output = str(root / "in"), str(root / "out")

    def put(self, name: str, data: bytes) -> None:
        path = self.root / "in" / name
        path.write_bytes(data)
        # A file system's clock may be too coarse for two changes in a row.
        self.clock += 1
        os.utime(path, ns=(self.clock * 10**9,) * 2)

    def remove(self, name: str) -> None:
        (self.root / "in" / name).unlink()

    def read(self, name: str) -> bytes:
        return (self.root / "out" / name).read_bytes()

    def names(self) -> set[str]:
        """Return the names of all files of the collection, hidden ones left out."""
        found = (path.relative_to(self.root / "out").as_posix() for path in (self.root / "out").rglob("*.*"))
        return {name for name in found if not name.startswith(".")}


class Bucket:
    """The same on an emulated bucket."""

    def __init__(self, server: GcsServer, folder: str):
        self.server, self.folder = server, folder
        self.input, self.output = (f"gs://{server.bucket}/{folder}/{name}" for name in ("in", "out"))

    def put(self, name: str, data: bytes) -> None:
        self.server.put(f"{self.folder}/in/{name}", data)

    def remove(self, name: str) -> None:
        self.server.remove(f"{self.folder}/in/{name}")

    def read(self, name: str) -> bytes:
        return self.server.get(f"{self.folder}/out/{name}")

    def names(self) -> set[str]:
        prefix = f"{self.folder}/out/"
        found = {name.removeprefix(prefix) for name in self.server.names() if name.startswith(prefix)}
        return {name for name in found if not name.startswith(".")}


@dataclasses.dataclass(frozen=True)
class Row:
    """What a row of the collection is made of."""

    content: int
    label: str | None


@dataclasses.dataclass
class Found:
    """A collection as its files say: rows by name for each format, names of failures, the manifest."""

    rows: dict[str, dict[str, Row]]
    failures: list[str]
    manifest: dict[str, Any]


def named(uri: str) -> str:
    return uri.rsplit("/", 1)[1]


def found_in(store: Disk | Bucket, vectors: dict[int, np.ndarray]) -> Found | None:
    """Read all that a collection's manifest names, and check each vector; None if there is no manifest."""
    if "manifest.json" in store.names():
        manifest = json.loads(store.read("manifest.json"))
        rows: dict[str, dict[str, Row]] = {}
        failures: list[str] = []
        for file in manifest["files"]:
            data = store.read(file["name"])
            assert len(data) == file["bytes"]
            kind = file["name"].split("/")[0]
            if kind == "failures":
                lines = [json.loads(line) for line in data.splitlines()]
                failures += [named(line["uri"]) for line in lines]
                assert len(lines) == file["rows"]
                continue
            if kind == "parquet":
                assert vector_type_of(data) == manifest["collection"]["vector_type"]
            read = list(parquet_rows(data) if kind == "parquet" else tfrecord_rows(data))
            assert len(read) == file["rows"]
            for name, sha256, label, vector in read:
                assert name not in rows.setdefault(kind, {}), f"{name} is there twice"
                rows[kind][name] = Row(NUMBER_OF[sha256], label)
                if vectors:
                    np.testing.assert_allclose(vector, vectors[NUMBER_OF[sha256]], rtol=1e-5, atol=1e-6)
        return Found(rows, sorted(failures), manifest)
    return None


def parquet_rows(data: bytes) -> Iterator[tuple[str, str, str | None, np.ndarray]]:
    table = pq.read_table(io.BytesIO(data)).to_pylist()
    for row in table:
        label = row.get("label")
        yield named(row["uri"]), row["sha256"], None if label is None else str(label), np.array(row["embedding"])


def vector_type_of(data: bytes) -> str:
    return str(pq.read_schema(io.BytesIO(data)).field("embedding").type).partition("<")[0]


def tfrecord_rows(data: bytes) -> Iterator[tuple[str, str, str | None, np.ndarray]]:
    for record in tf.io.decode_compressed(data, "GZIP") and records(data):
        values = tf.train.Example.FromString(record).features.feature
        label = values["label"]
        texts = [text.decode() for text in label.bytes_list.value] + [str(v) for v in label.int64_list.value]
        uri, sha256 = (values[name].bytes_list.value[0].decode() for name in ("uri", "sha256"))
        yield named(uri), sha256, texts[0] if texts else None, np.array(values["embedding"].float_list.value)


def records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a TFRecord file, by its specification: length, its checksum, the data, its checksum."""
    import gzip

    plain = gzip.decompress(data)
    at = 0
    while at < len(plain):
        length = int.from_bytes(plain[at : at + 8], "little")
        yield plain[at + 12 : at + 12 + length]
        at += 16 + length


class Runner:
    """Runs the command; one that is to be killed needs a process of its own."""

    def __init__(self, forked: ForkedRuns | None):
        self.forked = forked

    def __call__(self, argv: Sequence[str], kill_at: int = 0, below: str = "") -> int:
        if self.forked is None:
            return main(list(argv))
        one = {"argv": list(argv), **({"kill_at": kill_at, "below": below} if kill_at else {})}
        [(code, said)] = self.forked(one)
        assert "Traceback" not in said, said
        return code


def machine(
    new_store: Any, runner: Runner, formats: str, vectors: dict[int, np.ndarray], kills: bool
) -> type[RuleBasedStateMachine]:
    """Return a state machine whose model is a dictionary of files and one of rows."""
    vector_types = st.sampled_from(["", *VECTOR_TYPES] if "parquet" in formats else [""])

    class Collections(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.store: Disk | Bucket = new_store()
            self.files: dict[str, int] = {}
            self.labels: dict[str, str] = {}
            self.rows: dict[str, Row] = {}
            self.failures: set[str] = set()
            self.stands = False
            self.vector_type = "list"

        @initialize(name=st.sampled_from(NAMES), number=st.integers(0, GOOD - 1))
        def begin(self, name: str, number: int) -> None:
            self.put(name, number)

        def put(self, name: str, number: int) -> None:
            self.files[name] = number
            self.store.put(name, CONTENTS[number])

        @rule(name=st.sampled_from(NAMES), number=st.integers(0, GOOD + BAD - 1))
        def add_or_change_or_fail_or_heal(self, name: str, number: int) -> None:
            self.put(name, number)

        @rule(name=st.sampled_from(NAMES))
        def touch(self, name: str) -> None:
            if name in self.files:
                self.put(name, self.files[name])

        @rule(old=st.sampled_from(NAMES), new=st.sampled_from(NAMES))
        def rename(self, old: str, new: str) -> None:
            if old in self.files and old != new:
                self.put(new, self.files.pop(old))
                self.store.remove(old)

        @rule(name=st.sampled_from(NAMES))
        def remove(self, name: str) -> None:
            if len(self.files) > 1 and name in self.files:
                del self.files[name]
                self.store.remove(name)

        @rule(name=st.sampled_from(NAMES), label=st.sampled_from(LABELS))
        def label(self, name: str, label: str) -> None:
            self.labels[name] = label

        @rule(remove_missing=st.booleans(), repeated=st.booleans(), vector_type=vector_types)
        def update(self, remove_missing: bool, repeated: bool, vector_type: str) -> None:
            self.run("update", remove_missing, repeated, vector_type=vector_type)

        @rule(remove_missing=st.booleans(), kill_at=st.integers(1, 40), vector_type=vector_types)
        def update_killed(self, remove_missing: bool, kill_at: int, vector_type: str) -> None:
            self.run("update", remove_missing, kill_at=kill_at if kills else 0, vector_type=vector_type)

        @rule(kill_at=st.integers(0, 40))
        def replace(self, kill_at: int) -> None:
            self.run("replace", kill_at=kill_at if kills else 0)

        def run(
            self,
            existing: str,
            remove_missing: bool = False,
            repeated: bool = False,
            kill_at: int = 0,
            vector_type: str = "",
        ) -> None:
            listed = [*self.files, *(list(self.files)[:1] if repeated else [])]
            lines = ["uri,label", *(f'{name},"{self.labels.get(name, "")}"' for name in listed)]
            self.store.put("list.csv", "\n".join(lines).encode())
            flags = [f"--existing={existing}"]
            if remove_missing and existing == "update":
                flags.append("--remove_missing")
            argv = ["--input", f"{self.store.input}/list.csv", "--output", self.store.output, *LIGHT, *flags]
            argv += [f"--output_format={formats}", *([f"--vector_type={vector_type}"] if vector_type else [])]
            code = runner(argv, kill_at, self.store.output)
            before = (dict(self.rows), set(self.failures), self.stands)
            self.predict(existing, remove_missing)
            found = found_in(self.store, vectors)
            if code == -9 and not self.agrees(found):
                self.rows, self.failures, self.stands = before
                assert self.agrees(found), f"killed before change {kill_at}, the collection is neither old nor new"
                return
            assert code in (0, 3) or code == -9, code
            assert self.agrees(found), (found, self.rows, self.failures)
            assert found is not None
            asked = vector_type or (self.vector_type if existing == "update" else "list")
            # What a killed run leaves may be both old and new, but for this.
            possible = {asked} if code != -9 else {asked, self.vector_type}
            self.vector_type = found.manifest["collection"]["vector_type"]
            assert self.vector_type in possible
            if code == -9:
                # Where both are the same, what stands may be the old one, with its own counts.
                return
            counts = found.manifest["counts"]
            assert counts["inputs"] == len(listed)
            assert counts["duplicates"] == len(listed) - len(self.files)
            assert counts["failed"] == sum(number >= GOOD for number in self.files.values())
            if existing == "replace":
                assert counts["skipped"] == 0
            else:
                same = [n for n, number in self.files.items() if n in before[0] and before[0][n].content == number]
                assert counts["skipped"] == len(same)
            named_files = {file["name"] for file in found.manifest["files"]}
            others = {"manifest.json", *(["tfrecord/features.json"] if "tfrecord" in formats else [])}
            assert self.store.names() - others == named_files

        def predict(self, existing: str, remove_missing: bool) -> None:
            if existing == "replace":
                self.rows, self.failures = {}, set()
            for name, number in self.files.items():
                label = self.labels.get(name, "")
                if number < GOOD:
                    self.rows[name] = Row(number, label)
                    self.failures.discard(name)
                else:
                    self.failures.add(name)
            if remove_missing and existing == "update":
                self.rows = {name: row for name, row in self.rows.items() if name in self.files}
                self.failures &= self.files.keys()
            self.stands = True

        def agrees(self, found: Found | None) -> bool:
            if found is None:
                return not self.stands
            if not self.stands or found.failures != sorted(self.failures):
                return False
            if found.manifest["collection"]["rows"] != len(self.rows):
                return False
            return all(self.same_rows(found.rows.get(format_, {})) for format_ in formats.split(","))

        def same_rows(self, rows: dict[str, Row]) -> bool:
            """Whether rows are the predicted ones; an image that has failed keeps the columns of its old row."""
            if rows.keys() != self.rows.keys():
                return False
            return all(
                rows[name].content == row.content and (name in self.failures or (rows[name].label or "") == row.label)
                for name, row in self.rows.items()
            )

    return Collections


def explore(collections: type[RuleBasedStateMachine], examples: int, steps: int) -> None:
    checked = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        collections,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            suppress_health_check=checked,
        ),
    )


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory, forked: ForkedRuns) -> dict[int, np.ndarray]:
    """Return the vector of each content, from a run of its own over all of them."""
    store = Disk(tmp_path_factory.mktemp("all"))
    for number, data in enumerate(CONTENTS[:GOOD]):
        store.put(f"{number}.png", data)
    assert Runner(forked)(["--input", store.input, "--output", store.output, *LIGHT]) == 0
    table = pq.read_table(pathlib.Path(store.output, "parquet")).to_pylist()
    return {NUMBER_OF[row["sha256"]]: np.array(row["embedding"]) for row in table}


def test_a_collection_is_what_a_dictionary_predicts(
    tmp_path: pathlib.Path, forked: ForkedRuns, vectors: dict[int, np.ndarray]
) -> None:
    numbers = iter(range(10**6))
    new = lambda: Disk(tmp_path / str(next(numbers)))  # noqa: E731
    explore(machine(new, Runner(forked), "parquet,tfrecord", vectors, kills=True), examples=2, steps=10)


@pytest.mark.exhaustive
@pytest.mark.parametrize("formats", ["parquet", "tfrecord", "parquet,tfrecord"])
def test_a_collection_is_what_a_dictionary_predicts_for_long(
    formats: str, tmp_path: pathlib.Path, forked: ForkedRuns, vectors: dict[int, np.ndarray]
) -> None:
    numbers = iter(range(10**6))
    new = lambda: Disk(tmp_path / str(next(numbers)))  # noqa: E731
    explore(machine(new, Runner(forked), formats, vectors, kills=True), examples=6, steps=16)


def test_a_collection_on_a_bucket_is_what_a_dictionary_predicts(
    strict_gcs: GcsServer, vectors: dict[int, np.ndarray]
) -> None:
    numbers = iter(range(10**6))
    new = lambda: Bucket(strict_gcs, str(next(numbers)))  # noqa: E731
    explore(machine(new, Runner(None), "parquet", vectors, kills=False), examples=1, steps=10)


def rows_of(output: pathlib.Path) -> list[tuple[str, str, str, str | None]]:
    """Return what tells the rows of a collection, in the order of their uris."""
    table = pq.read_table(output / "parquet").to_pylist()
    return sorted((named(row["uri"]), row["sha256"], row["version"], row.get("label")) for row in table)


@pytest.mark.exhaustive
def test_an_update_by_two_worker_processes_is_the_local_one(tmp_path: pathlib.Path) -> None:
    store = Disk(tmp_path)
    outputs = {"local": tmp_path / "local", "two": tmp_path / "two"}
    flags = {"local": [], "two": ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]}

    def run(names: Sequence[str]) -> None:
        store.put("list.csv", "\n".join(["uri,label", *(f"{name},{name[0]}" for name in names)]).encode())
        for name, output in outputs.items():
            argv = ["--input", f"{store.input}/list.csv", "--output", str(output), *LIGHT, *flags[name]]
            assert main([*argv, "--existing=update", "--remove_missing"]) == 0
        assert rows_of(outputs["local"]) == rows_of(outputs["two"])

    for number, name in enumerate(NAMES[:5]):
        store.put(name, CONTENTS[number])
    run(NAMES[:5])
    store.put(NAMES[0], CONTENTS[3])
    store.put(NAMES[1], CONTENTS[1])
    store.put(NAMES[2], CONTENTS[GOOD])
    store.put(NAMES[5], CONTENTS[4])
    run([*NAMES[:3], *NAMES[4:]])
    counts = [json.loads((output / "manifest.json").read_text()) for output in outputs.values()]
    assert counts[0]["counts"] == counts[1]["counts"]
    assert counts[0]["changes"] == counts[1]["changes"]
    assert counts[0]["changes"]["removed"] == 1


@pytest.mark.exhaustive
def test_another_type_of_vectors_changes_the_files_of_parquet_alone(tmp_path: pathlib.Path) -> None:
    store, output = Disk(tmp_path), tmp_path / "out"
    for number, name in enumerate(NAMES[:3]):
        store.put(name, CONTENTS[number])
    argv = ["--input", store.input, "--output", store.output, *LIGHT, "--output_format=parquet,tfrecord"]
    found: list[tuple[set[str], dict[str, list[float]]]] = []
    for given, vector_type in (
        ([], "list"),
        (["--vector_type=fixed_size_list"], "fixed_size_list"),
        ([], "fixed_size_list"),
        (["--vector_type=list"], "list"),
    ):
        assert main([*argv, "--existing=update", *given]) == 0
        (path,) = output.glob("parquet/*.parquet")
        assert vector_type_of(path.read_bytes()) == vector_type
        rows = {row["uri"]: row["embedding"] for row in pq.read_table(path).to_pylist()}
        found.append((store.names(), rows))
    changed = [{name.split("/")[0] for name in before ^ now} for (before, _), (now, _) in itertools.pairwise(found)]
    assert changed == [{"parquet"}, set(), {"parquet"}]
    assert len(found[0][1]) == 3
    assert all(rows == found[0][1] for _, rows in found)
    manifest = json.loads(store.read("manifest.json"))
    assert (manifest["counts"]["embedded"], manifest["counts"]["skipped"]) == (0, 3)


@pytest.mark.exhaustive
def test_an_image_is_fetched_if_any_of_several_collections_lacks_it(tmp_path: pathlib.Path) -> None:
    store = Disk(tmp_path)
    for number, name in enumerate(NAMES[:3]):
        store.put(name, CONTENTS[number])
    argv = ["--input", store.input, "--output", store.output, *LIGHT, "--backbone=MobileNet,MobileNetV2"]
    argv += ["--existing=update", "--backbone_kwargs={}"]
    assert main(argv) == 0
    lacking = tmp_path / "out" / "MobileNetV2"
    for path in sorted(lacking.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    store.put(NAMES[3], CONTENTS[3])
    assert main(argv) == 0
    found = [
        json.loads((tmp_path / "out" / name / "manifest.json").read_text()) for name in ("MobileNet", "MobileNetV2")
    ]
    assert [(one["counts"]["embedded"], one["counts"]["skipped"]) for one in found] == [(1, 3), (4, 0)]
