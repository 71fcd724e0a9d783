"""Flags that make a Dataflow job, and flags that cannot."""

import pathlib

import pytest
from apache_beam.options.pipeline_options import DebugOptions, SetupOptions, WorkerOptions

from pipelines.command import main
from pipelines.launch.dataflow.job import DataflowJob, container_versions, dataflow_job, is_remote, source_setup_file
from pipelines.options.flags import parse
from transforms.core.errors import UsageError

NEEDED = ["--input", "gs://b/in", "--output", "gs://b/out"]
DATAFLOW = ["--runner=DataflowRunner", "--project=p", "--region=r", "--temp_location=gs://b/tmp"]
IMAGE = "--sdk_container_image=r-docker.pkg.dev/p/images/embed-images:1"
L4 = ["--gpu", "nvidia-l4", IMAGE]


def job_of(*flags: str) -> DataflowJob:
    job = dataflow_job(*parse([*NEEDED, *DATAFLOW, *flags]))
    assert job is not None
    return job


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
    assert (worker.machine_type, worker.disk_size_gb) == (None, 100)
    assert job.options.view_as(DebugOptions).experiments == ["no_use_multiple_sdk_containers"]
    assert job.options.view_as(SetupOptions).setup_file is None


def test_what_was_asked_for_stands_instead_of_what_would_be_chosen() -> None:
    job = job_of(*L4, "--gpu_count", "2", "--machine_type=g2-standard-24", "--disk_size_gb=200")
    assert "count:2;machine_type:g2-standard-24" in job.hints["accelerator"]
    assert job.options.view_as(WorkerOptions).disk_size_gb == 200
    assert job.options.view_as(DebugOptions).number_of_worker_harness_threads == 4
    job = job_of(
        "--machine_type=e2-standard-8", "--experiments=use_multiple_sdk_containers", "--setup_file=/x/setup.py"
    )
    assert job.options.view_as(WorkerOptions).machine_type == "e2-standard-8"
    assert (job.processes, job.options.view_as(SetupOptions).setup_file) == (8, "/x/setup.py")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--project="], "needs --project, e.g. --project=my-project"),
        (["--region="], "needs --region, e.g."),
        (["--temp_location="], "needs --temp_location, e.g. --temp_location=gs://bucket/tmp"),
        (["--temp_location=/tmp"], "--temp_location must be a folder in Cloud Storage, gs://..., is /tmp"),
        (["--input", "photos"], "--input photos is on this machine"),
        (["--output", "out"], "--output out is on this machine"),
        (["--weights", "w.h5"], "--weights w.h5 is on this machine"),
        (["--gpu", "nvidia-l4"], "add --sdk_container_image IMAGE"),
        (["--gpu", "nvidia-l5"], "did you mean 'nvidia-l4'?"),
        (["--gpu_count", "2"], "add --gpu TYPE"),
        (["--require_gpu"], "add --gpu TYPE"),
        (["--engine", "openvino"], "add --sdk_container_image IMAGE"),
        ([*L4, "--machine_type=n1-standard-4"], "has no GPU, not 1 nvidia-l4"),
        ([*L4, "--gpu_count=3"], "give one of 1, 2, 4, 8"),
        ([*L4, "--engine=openvino"], "does not go with --engine openvino"),
        ([*L4, "--flexrs_goal=COST_OPTIMIZED"], "does not go with --flexrs_goal"),
        ([*L4, "--experiments=use_multiple_sdk_containers"], "does not go with --experiments=use_multiple"),
        ([*L4, "--resource_hint=accelerator=type:x"], "does not go with an accelerator of --resource_hint"),
        (
            [*L4, "--dataflow_service_options=worker_accelerator=type:nvidia-l4;count:1;install-nvidia-driver"],
            "does not go with a worker_accelerator of --dataflow_service_options",
        ),
        (["--sdk_container_image=apache/beam_python3.9_sdk:2.77.0"], "has Python 3.9, here is"),
        (["--sdk_container_image=apache/beam_python3.11_sdk:2.60.0"], "has Beam 2.60.0, here is"),
    ],
)
def test_flags_that_contradict_each_other_are_one_line_and_exit_2(
    flags: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*NEEDED, *DATAFLOW, *flags]) == 2
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 1
    assert says in printed[0]


@pytest.mark.parametrize("flag", ["--gpu=nvidia-l4", "--gpu_count=1", "--no_wait"])
def test_a_flag_of_dataflow_is_refused_on_another_runner(flag: str) -> None:
    with pytest.raises(UsageError, match=f"{flag.partition('=')[0]} is for --runner=DataflowRunner"):
        dataflow_job(*parse([*NEEDED, flag]))


@pytest.mark.parametrize(
    ("flags", "remote"),
    [
        ([], False),
        (["--runner=DirectRunner"], False),
        (["--runner=FnApiRunner"], False),
        (["--runner=dataflow"], True),
        (["--runner=FlinkRunner"], True),
    ],
)
def test_which_runners_work_elsewhere(flags: list[str], remote: bool) -> None:
    assert is_remote(flags) is remote


def test_an_installed_project_has_no_source_to_send_and_says_what_to_give(tmp_path: pathlib.Path) -> None:
    (tmp_path / "setup.py").write_text("somebody else's")
    with pytest.raises(UsageError, match=r"give --sdk_container_image .*, or --setup_file"):
        source_setup_file(tmp_path)


@pytest.mark.parametrize(
    ("image", "versions"),
    [
        ("apache/beam_python3.11_sdk:2.77.0", ("3.11", "2.77.0")),
        ("gcr.io/p/embed-images-python3.12-beam2.77.0:4", ("3.12", "2.77.0")),
        ("host:5000/p/embed-images@sha256:abc", ("", "")),
    ],
)
def test_an_image_tells_its_versions_by_its_name_or_not_at_all(image: str, versions: tuple[str, str]) -> None:
    assert container_versions(image) == versions
