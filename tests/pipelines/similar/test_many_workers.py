"""The same pairs by a pipeline; what its workers wrote is gone afterwards, however it ends."""

import pathlib

import pytest

from pipelines.options.commands.similar import parse
from pipelines.similar.collection import open_collection
from pipelines.similar.many_workers import pairs_by_beam
from pipelines.similar.similar_images import pairs_here
from tests.collection_files import FORMATS, collection, embedding
from tests.pipelines.conftest import files_in
from tests.servers.dataflow import DataflowServer
from transforms.core.errors import Interrupted, RunError, UsageError
from transforms.measure import cosines
from transforms.measure.pairs import Pair
from transforms.storage.files import upload
from transforms.storage.paths import matching_files


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A collection of 60 rows, some of them alike."""
    collection(tmp_path / "out", [embedding(f"/{i % 30} ä/{i}.jpg", label=i) for i in range(60)])
    return tmp_path / "out"


def found(folder: pathlib.Path | str, *arguments: str, above: float = 0.98) -> list[Pair]:
    settings, beam_args = parse(["--embeddings", str(folder), "--pairs", *arguments])
    return sorted(pairs_by_beam(open_collection(str(folder)), above, settings, beam_args))


@pytest.mark.parametrize("beside", [True, False], ids=["beside the result", "in a temporary folder"])
@pytest.mark.parametrize("runner", ["DirectRunner", "FnApiRunner"])
def test_the_pairs_are_those_that_one_process_finds(
    runner: str, beside: bool, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = sorted(pairs_here(open_collection(str(folder)), 0.98))
    assert 20 < len(expected) < 1000
    monkeypatch.setattr(cosines, "BLOCK_ROWS", 13)
    out = ["--out", str(folder.parent / "pairs.jsonl")] if beside else []
    assert found(folder, f"--runner={runner}", *out) == expected
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("format_", FORMATS)
def test_workers_of_their_own_read_either_format(format_: str, tmp_path: pathlib.Path) -> None:
    collection(tmp_path, [embedding(f"/{i}.jpg", label=i) for i in range(20)], formats={format_: FORMATS[format_]()})
    flags = ["--runner=direct", "--direct_running_mode=multi_threading", "--direct_num_workers=2"]
    assert found(tmp_path, *flags, above=0.9) == sorted(pairs_here(open_collection(str(tmp_path)), 0.9))


def test_a_file_that_is_gone_fails_the_run_with_its_name_and_leaves_nothing(folder: pathlib.Path) -> None:
    (path,) = folder.glob("parquet/*")
    path.unlink()
    with pytest.raises(RunError, match=rf"the pipeline failed: cannot read {path}; if a run has"):
        found(folder, "--runner=direct", "--out", str(folder.parent / "pairs.jsonl"))
    assert files_in(folder.parent) == ["out/manifest.json"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--runner=PortableRunner", "--job_endpoint=localhost:1"],
            "--runner PortableRunner needs --out, beside which",
        ),
        (["--runner=PortableRunner", "--out=pairs.jsonl"], "needs the --job_endpoint HOST:PORT"),
        (["--runner=DataflowRunner", "--out=gs://b/p.jsonl"], "--runner DataflowRunner needs an --embeddings in Cloud"),
        (["--runner=DaskRunner"], "it loses tagged outputs"),
        (
            ["--runner=direct", "--abve=1"],
            r"unknown flag --abve \(did you mean '--above'\?\); see similar-images --help",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(arguments: list[str], says: str, folder: pathlib.Path) -> None:
    with pytest.raises(UsageError, match=says):
        found(folder, *arguments)


@pytest.mark.exhaustive
def test_a_job_of_dataflow_has_our_source_and_finds_the_same_pairs(
    folder: pathlib.Path, dataflow: DataflowServer
) -> None:
    expected = sorted(pairs_here(open_collection(str(folder)), 0.98))
    there = f"gs://{dataflow.bucket}"
    for name in files_in(folder):
        upload(str(folder / name), f"{there}/out/{name}")
    dataflow.runs = True
    assert found(f"{there}/out", *dataflow.flags, "--out", f"{there}/found/pairs.jsonl") == expected
    (body,) = dataflow.submitted
    assert body["name"].startswith("similar-images-2")
    (pool,) = body["environment"]["workerPools"]
    assert "workflow.tar.gz" in {package["name"] for package in pool["packages"]}
    assert not list(matching_files(f"{there}/found/**"))


def test_a_job_of_dataflow_without_a_project_is_refused(dataflow: DataflowServer) -> None:
    there = f"gs://{dataflow.bucket}"
    settings, beam_args = parse(["--embeddings", there, "--pairs", "--out", f"{there}/a.jsonl", "--runner=dataflow"])
    with pytest.raises(UsageError, match="--runner=DataflowRunner needs --project"):
        list(pairs_by_beam(None, 0.9, settings, beam_args))  # type: ignore[arg-type]


def test_an_interrupted_job_is_cancelled(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = []

    class Running:
        """A job that is interrupted while it is awaited."""

        state = "RUNNING"

        def wait_until_finish(self) -> None:
            raise KeyboardInterrupt

        def cancel(self) -> None:
            self.state = "CANCELLED"
            cancelled.append(self)

    monkeypatch.setattr("apache_beam.Pipeline.run", lambda pipeline: Running())
    with pytest.raises(Interrupted, match=r"^similar-images: interrupted, nothing was written$"):
        found(folder, "--runner=direct")
    assert len(cancelled) == 1
