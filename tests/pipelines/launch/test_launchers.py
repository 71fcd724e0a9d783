"""The seam: which launcher a command line gets, and what is refused because another one has it."""

import inspect
import os

import pytest

from pipelines.launch import Launcher, launcher_for
from pipelines.launch.beam_pipeline import BeamOptions
from pipelines.launch.dataflow.launcher import DataflowLauncher
from pipelines.launch.local import LocalLauncher
from pipelines.launch.portable.launcher import PortableLauncher
from pipelines.options.command_line import parse
from pipelines.plan.runner import Runner
from transforms.core.errors import UsageError

NEEDED = ["--input", "gs://b/in", "--output", "gs://b/out"]
GOOGLE = ["--project=p", "--region=r", "--temp_location=gs://b/tmp"]


def launcher_of(*flags: str) -> Launcher:
    return launcher_for(*parse([*NEEDED, *flags]))


@pytest.mark.parametrize(
    ("flags", "launcher", "runner"),
    [
        ([], LocalLauncher, Runner.LOCAL),
        (["--runner=DirectRunner", "--direct_num_workers=2"], LocalLauncher, Runner.LOCAL),
        (["--runner=direct"], LocalLauncher, Runner.LOCAL),
        (["--runner=DataflowRunner", *GOOGLE], DataflowLauncher, Runner.DATAFLOW),
        (["--runner", "dataflow", *GOOGLE], DataflowLauncher, Runner.DATAFLOW),
        (["--runner=PortableRunner", "--job_endpoint=embed"], PortableLauncher, Runner.PORTABLE),
        (["--runner=tests.servers.DirectRunner"], PortableLauncher, Runner.PORTABLE),
    ],
)
def test_the_runner_decides_the_launcher(flags: list[str], launcher: type, runner: Runner) -> None:
    found = launcher_of(*flags)
    assert type(found) is launcher
    assert found.where.runner is runner


def test_a_launcher_has_beams_flags_as_they_were_typed() -> None:
    flags = ["--runner=FlinkRunner", "--job_endpoint=embed", "--flink_master=somewhere:8081", "--parallelism", "3"]
    found = launcher_of(*flags)
    assert isinstance(found, PortableLauncher)
    assert found.beam_args == flags


@pytest.mark.parametrize("runner", ["--runner=DirectRunner", "--runner=FlinkRunner", "--runner=DataflowRunner"])
def test_the_project_that_pays_is_told_to_google_s_libraries_here_and_to_the_workers(
    runner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "another")
    google = GOOGLE if "Dataflow" in runner else ["--job_endpoint=embed"] if "Flink" in runner else []
    found = launcher_of(runner, *google, "--billing_project=mine")
    assert os.environ["GOOGLE_CLOUD_QUOTA_PROJECT"] == "mine"
    options = found.job.options if isinstance(found, DataflowLauncher) else BeamOptions(found.beam_args)
    assert options.get_all_options()["billing_project"] == "mine"


@pytest.mark.parametrize(
    "runner", [[], ["--runner=DirectRunner"], ["--runner=FlinkRunner"], ["--runner=tests.servers.Runner"]]
)
@pytest.mark.parametrize(
    ("flag", "instead"),
    [
        ("--gpu=nvidia-l4", "; here --require_gpu makes sure of one"),
        ("--gpu_count=1", ""),
        ("--no_wait", ""),
    ],
)
def test_a_flag_of_dataflow_is_refused_on_another_runner(flag: str, instead: str, runner: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        launcher_of(flag, *runner)
    assert str(refused.value) == f"{flag.partition('=')[0]} is for --runner=DataflowRunner{instead}"


def test_dataflow_takes_its_flags_and_refuses_what_contradicts_them() -> None:
    image = "--sdk_container_image=r-docker.pkg.dev/p/i/embed-images:1"
    found = launcher_of("--runner=DataflowRunner", *GOOGLE, "--no_wait", "--gpu=nvidia-l4", image)
    assert list(found.where.resource_hints) == ["accelerator"]
    with pytest.raises(UsageError, match="--runner=DataflowRunner needs --project"):
        launcher_of("--runner=DataflowRunner")


@pytest.mark.parametrize("launcher", [LocalLauncher, PortableLauncher, DataflowLauncher])
def test_every_launcher_has_all_that_one_has(launcher: type) -> None:
    for name in ("run", "needs", "costs"):
        theirs, ours = (inspect.signature(getattr(kind, name)) for kind in (Launcher, launcher))
        assert list(theirs.parameters) == list(ours.parameters)
    assert isinstance(launcher.where, property)
