"""The launcher of Dataflow: where its jobs run, and what is checked before one is submitted."""

import pathlib

import pytest

from pipelines.launch.dataflow.job import dataflow_job
from pipelines.launch.dataflow.launcher import DataflowLauncher
from pipelines.options.command_line import parse
from pipelines.plan.plan import make_plan
from pipelines.plan.run_stats import Speed
from pipelines.plan.runner import Runner, Where
from tests.pipelines.conftest import LIGHT
from tests.pipelines.launch.dataflow.conftest import DATAFLOW, IMAGE, NEEDED, output_of
from tests.servers.dataflow import DataflowServer
from transforms.core.errors import UsageError


def launcher_of(*flags: str) -> DataflowLauncher:
    return DataflowLauncher(dataflow_job(*parse([*NEEDED, *DATAFLOW, *flags])))


def test_a_job_runs_on_dataflow_with_its_hints() -> None:
    where = launcher_of().where
    # One n2-standard-4 with its disk, in us-central1.
    assert where == Where(Runner.DATAFLOW, {}, dollars_an_hour=pytest.approx(0.28, abs=0.01))
    gpu = launcher_of("--gpu=nvidia-l4", f"--sdk_container_image={IMAGE}").where
    assert gpu.resource_hints == {
        "accelerator": "type:nvidia-l4;count:1;machine_type:g2-standard-8;install-nvidia-driver"
    }
    assert not gpu.embeds_here


def test_costs_rest_on_one_measurement_and_are_for_all_workers() -> None:
    measured = []

    def measure() -> Speed:
        measured.append(True)
        return Speed(decode=0.004, forward=0.016)

    speed, cost, *_ = launcher_of("--machine_type=n2-standard-4", "--max_num_workers=3").costs(720_000, measure)
    assert "about 200 img/s a worker" in speed
    assert "on 3 workers" in cost
    assert measured == [True]


def test_a_model_that_does_not_fit_is_refused_before_anything_is_written_or_sent(
    dataflow: DataflowServer, photos: pathlib.Path
) -> None:
    output = f"gs://{dataflow.bucket}/out"
    many = ["--machine_type=n2-highcpu-8", "--experiments=use_multiple_sdk_containers"]
    given = ["--input", dataflow.upload(photos), "--output", output, *LIGHT, *dataflow.flags, *many]
    settings, beam_args = parse(given)
    launcher = DataflowLauncher(dataflow_job(settings, beam_args))
    plan = make_plan(settings, launcher.where)
    built = []
    for ask in (lambda: launcher.run(built.append, plan), lambda: launcher.needs(plan)):
        with pytest.raises(UsageError, match="give a larger --machine_type"):
            ask()
    assert built == []
    assert (dataflow.requests, output_of(dataflow)) == ([], [])


def test_a_job_that_is_not_awaited_gives_no_stats(dataflow: DataflowServer, photos: pathlib.Path) -> None:
    output = f"gs://{dataflow.bucket}/out"
    given = ["--input", dataflow.upload(photos), "--output", output, *LIGHT, *dataflow.flags, "--no_wait"]
    settings, beam_args = parse(given)
    launcher = DataflowLauncher(dataflow_job(settings, beam_args))
    plan = make_plan(settings, launcher.where)
    assert launcher.run(lambda root: root | plan.source, plan) is None
    assert dataflow.submitted[0]["name"] == f"embed-images-mobilenet-{plan.run_id.lower()}"
