"""What a dry run says that a job needs: looked at with small objects, of which none stays."""

import gc
import importlib.metadata
import pathlib
import platform
import re

import pytest

from pipelines.command import main
from pipelines.launch.dataflow.job import dataflow_job
from pipelines.launch.dataflow.needs import need_lines
from pipelines.options.command_line import parse
from pipelines.plan.plan import make_plan
from pipelines.plan.runner import Runner, Where
from tests.pipelines.launch.dataflow.conftest import IMAGE, names_below, output_of
from tests.servers.dataflow import DataflowServer
from tests.servers.gcs import GcsServer


def test_a_dry_run_says_all_that_the_job_needs_and_sends_nothing(
    flags: list[str], dataflow: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*flags, "--dry_run", "--gpu", "nvidia-l4", "--sdk_container_image", IMAGE]) == 0
    printed = capsys.readouterr().out
    for part in (
        "inputs    10",
        "MobileNet: 5 of 5 embedded, 1024 x float32",
        "g2-standard-8: 8 vCPUs, 32 GB; processes 1; n2-standard-4 for the steps without a GPU",
        "of 24 GB of a nvidia-l4",
        f"the name of {IMAGE} does not tell whether it has the same",
        "US dollars",
        "img/s a worker",
        "GB of images",
    ):
        assert part in printed
    assert dataflow.requests == []
    assert output_of(dataflow) == []
    assert names_below(f"gs://{dataflow.bucket}/tmp") == []


def test_a_dry_run_is_2_where_what_it_wrote_cannot_be_removed(
    flags: list[str], dataflow: DataflowServer, storage: GcsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    storage.fail(403, matching="owner.json?prettyPrint")
    assert main([*flags, "--dry_run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"what it wrote to gs://{dataflow.bucket}/out cannot be removed: " in line


def test_a_dry_run_finds_a_model_that_does_not_fit(
    flags: list[str], dataflow: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    many = ["--machine_type=n2-highcpu-8", "--experiments=use_multiple_sdk_containers"]
    assert main([*flags, "--dry_run", *many]) == 2
    assert "give a larger --machine_type" in capsys.readouterr().err


def test_the_lines_say_where_what_and_how_large(dataflow: DataflowServer, photos: pathlib.Path) -> None:
    output = f"gs://{dataflow.bucket}/out"
    light = ["--weights=random", "--backbone=MobileNet", "--image_size=32"]
    settings, beam_args = parse(["--input", dataflow.upload(photos), "--output", output, *light, *dataflow.flags])
    job = dataflow_job(settings, beam_args)
    plan = make_plan(settings, Where(Runner.DATAFLOW, job.hints))
    place, writable, same, worker, memory = need_lines(plan, job)
    python, beam = platform.python_version_tuple(), importlib.metadata.version("apache-beam")
    assert place == "Dataflow, project a-project, region europe-west4"
    assert writable == f"  writable  gs://{dataflow.bucket}/tmp and --output, by small objects that were removed again"
    assert same == f"  versions  Python {python[0]}.{python[1]}, Beam {beam}; workers have the same"
    assert worker == "  worker    n2-standard-4: 4 vCPUs, 16 GB; processes 1"
    assert re.fullmatch(
        r"  memory    up to \d+\.\d of 16 GB, if images have --max_image_bytes; batches halve to fit", memory
    )
    assert output_of(dataflow) == []


def test_a_machine_that_is_not_known_is_said_to_be_so(dataflow: DataflowServer, photos: pathlib.Path) -> None:
    output = f"gs://{dataflow.bucket}/out"
    light = ["--weights=random", "--backbone=MobileNet", "--image_size=32", "--machine_type=m3-ultramem-32"]
    settings, beam_args = parse(["--input", dataflow.upload(photos), "--output", output, *light, *dataflow.flags])
    job = dataflow_job(settings, beam_args)
    *_, worker, memory = need_lines(make_plan(settings, Where(Runner.DATAFLOW)), job)
    assert worker == "  worker    the --machine_type: of a family that is not known here; processes 1"
    assert " of " not in memory


def test_a_staging_folder_that_cannot_be_written_to_is_found(
    flags: list[str], dataflow: DataflowServer, storage: GcsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    # Also when Beam's writer tries again as it is collected.
    storage.fail(403, times=100, matching="POST /resumable/upload/storage")
    storage.fail(403, times=100, matching="POST /upload/storage")
    assert main([*flags, "--dry_run"]) == 2
    gc.collect()
    storage.faults.clear()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"embed-images: cannot write to --temp_location gs://{dataflow.bucket}/tmp: ")
    assert names_below(f"gs://{dataflow.bucket}/tmp") == []
