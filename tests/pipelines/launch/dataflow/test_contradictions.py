"""Flags that no Dataflow job can have together."""

import importlib.metadata
import platform

import pytest

from pipelines.command import main
from pipelines.launch.dataflow.contradictions import container_versions, own_versions, refuse_dataflow_flags
from pipelines.launch.dataflow.job import dataflow_job
from pipelines.options.command_line import parse
from tests.pipelines.launch.dataflow.conftest import DATAFLOW, NEEDED
from transforms.core.errors import UsageError

L4 = ["--gpu", "nvidia-l4", "--sdk_container_image=r-docker.pkg.dev/p/images/embed-images:1"]


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
        (["--gpu_count", "2"], "--gpu_count is about a --gpu; add --gpu TYPE"),
        (["--gpu_driver", "5xx"], "--gpu_driver is about a --gpu; add --gpu TYPE"),
        (["--require_gpu"], "add --gpu TYPE"),
        (["--engine", "openvino"], "add --sdk_container_image IMAGE"),
        (["--model", "gs://b/a.onnx"], "a --model of ONNX on Dataflow needs an image that has it"),
        (["--engine", "onnxruntime"], "--engine onnxruntime runs on GPUs; add --gpu TYPE"),
        ([*L4, "--machine_type=n1-standard-4"], "has no GPU, not 1 nvidia-l4"),
        ([*L4, "--gpu_count=3"], "give one of 1, 2, 4, 8"),
        ([*L4, "--engine=openvino"], "does not go with --engine openvino"),
        ([*L4, "--flexrs_goal=COST_OPTIMIZED"], "does not go with --flexrs_goal"),
        ([*L4, "--experiments=use_multiple_sdk_containers"], "does not go with --experiments=use_multiple"),
        ([*L4, "--dataflow_service_options=enable_prime"], "does not go with enable_prime"),
        (["--machine_type=t2a-standard-4"], "t2a-standard-4 has Arm processors, the image is for x86; give n2-stand"),
        (["--machine_type=c4a-highcpu-8"], "c4a-highcpu-8 has Arm processors"),
        (["--machine_type=n4a-standard-4"], "n4a-standard-4 has Arm processors"),
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


def test_a_gpu_computes_onnx() -> None:
    for flags in ([], ["--engine=onnxruntime"]):
        settings, beam = parse([*NEEDED, *DATAFLOW, *L4, *flags, "--model=gs://b/a.onnx"])
        assert dataflow_job(settings, beam).gpu == "nvidia-l4"


@pytest.mark.parametrize("flag", ["--gpu=nvidia-l4", "--gpu_count=1", "--gpu_driver=5xx", "--no_wait"])
def test_a_flag_of_dataflow_is_refused_on_another_runner(flag: str) -> None:
    with pytest.raises(UsageError, match=f"{flag.partition('=')[0]} is for --runner=DataflowRunner"):
        refuse_dataflow_flags(parse([*NEEDED, flag])[0])
    refuse_dataflow_flags(parse([*NEEDED, "--require_gpu"])[0])


def test_the_versions_that_workers_must_share_are_those_of_this_process() -> None:
    assert own_versions() == (".".join(platform.python_version_tuple()[:2]), importlib.metadata.version("apache-beam"))


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
