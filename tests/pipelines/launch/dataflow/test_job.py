"""Flags that make a Dataflow job."""

import dataclasses
import pathlib
import re

import pytest
from apache_beam.options.pipeline_options import DebugOptions, GoogleCloudOptions, SetupOptions, WorkerOptions

from pipelines.launch.dataflow.job import DataflowJob, dataflow_job, source_setup_file
from pipelines.options.command_line import parse
from pipelines.plan.plan import Plan
from tests.pipelines.launch.dataflow.conftest import DATAFLOW, NEEDED
from transforms import Backbone
from transforms.core.errors import UsageError

IMAGE = "--sdk_container_image=r-docker.pkg.dev/p/images/embed-images:1"
L4 = ["--gpu", "nvidia-l4", IMAGE]


def job_of(*flags: str) -> DataflowJob:
    return dataflow_job(*parse([*NEEDED, *DATAFLOW, *flags]))


def test_a_job_on_processors_needs_nothing_but_where() -> None:
    job = job_of()
    worker, debug = job.options.view_as(WorkerOptions), job.options.view_as(DebugOptions)
    assert (worker.machine_type, worker.sdk_container_image) == ("n2-standard-4", None)
    assert debug.experiments == ["no_use_multiple_sdk_containers"]
    assert (job.processes, job.hints) == (1, {})
    setup = pathlib.Path(job.options.view_as(SetupOptions).setup_file)
    assert setup == pathlib.Path(__file__).parents[4] / "setup.py"


def test_a_gpu_is_a_hint_with_its_machine_and_driver_and_the_disk_has_room_for_the_image() -> None:
    job = job_of(*L4)
    worker = job.options.view_as(WorkerOptions)
    assert job.hints == {
        "accelerator": "type:nvidia-l4;count:1;machine_type:g2-standard-8;install-nvidia-driver",
    }
    assert (worker.machine_type, worker.disk_size_gb) == ("n2-standard-4", 100)
    assert job.options.view_as(DebugOptions).experiments == ["no_use_multiple_sdk_containers"]
    assert job.options.view_as(SetupOptions).setup_file is None


def test_what_was_asked_for_stands_instead_of_what_would_be_chosen() -> None:
    job = job_of(*L4, "--gpu_count", "2", "--machine_type=g2-standard-24", "--disk_size_gb=200")
    assert "count:2;machine_type:g2-standard-24" in job.hints["accelerator"]
    assert job_of(*L4, "--gpu_driver=5xx").hints["accelerator"].endswith(";install-nvidia-driver:5xx")
    assert job.options.view_as(WorkerOptions).disk_size_gb == 200
    assert job.options.view_as(DebugOptions).number_of_worker_harness_threads == 4
    job = job_of(
        "--machine_type=e2-standard-8", "--experiments=use_multiple_sdk_containers", "--setup_file=/x/setup.py"
    )
    assert job.options.view_as(WorkerOptions).machine_type == "e2-standard-8"
    assert (job.processes, job.options.view_as(SetupOptions).setup_file) == (8, "/x/setup.py")


def test_a_job_says_how_large_its_workers_are_and_how_many() -> None:
    job = job_of()
    assert (job.image, job.disk_gb, job.workers, job.bundles) == ("", 25, 1, 4)
    assert job_of("--sdk_container_image=an-image").disk_gb == 50
    assert job_of("--sdk_container_image=an-image", "--disk_size_gb=30").disk_gb == 30
    job = job_of(*L4, "--num_workers=3", "--number_of_worker_harness_threads=9")
    assert (job.image, job.disk_gb, job.workers, job.bundles) == (IMAGE.partition("=")[2], 100, 3, 9)
    assert job_of("--num_workers=3", "--max_num_workers=7").workers == 7
    many = job_of("--experiments=use_multiple_sdk_containers", "--machine_type=m3-ultramem-32")
    assert (many.machine, many.processes, many.bundles) == (None, 1, 4)


def test_a_job_is_named_for_what_it_makes_and_given_names_stay(plan: Plan) -> None:
    google = job_of().named(plan).options.view_as(GoogleCloudOptions)
    assert google.job_name == f"embed-images-mobilenet-{plan.run_id.lower()}"
    spec = plan.targets[0].spec.fingerprint
    assert google.labels == ["project=beam-image-embeddings", "backbone=mobilenet", f"spec={spec}"]
    google = job_of("--job_name=nightly", "--label=team=birds").named(plan).options.view_as(GoogleCloudOptions)
    assert google.job_name == "nightly"
    assert google.labels[-1] == "team=birds"


def test_a_name_of_many_backbones_is_one_that_dataflow_takes(plan: Plan) -> None:
    target = plan.targets[0]
    names = ["EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3", "EfficientNetV2L"]
    targets = [dataclasses.replace(target, backbone=Backbone(name, weights="random")) for name in names]
    google = job_of().named(dataclasses.replace(plan, targets=tuple(targets))).options.view_as(GoogleCloudOptions)
    # As Google documents both: https://cloud.google.com/dataflow/docs/reference/rest/v1b3/projects.jobs
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,1022}[a-z0-9])?", google.job_name)
    for label in google.labels:
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,62}=[a-z0-9_-]{0,63}", label)


def test_an_installed_project_has_no_source_to_send_and_says_what_to_give(tmp_path: pathlib.Path) -> None:
    (tmp_path / "setup.py").write_text("somebody else's")
    with pytest.raises(UsageError, match=r"give --sdk_container_image .*, or --setup_file"):
        source_setup_file(tmp_path)
