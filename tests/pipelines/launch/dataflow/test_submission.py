"""A job from the command to its end, against an emulated bucket and a Dataflow endpoint on loopback."""

import _thread
import io
import tarfile
from typing import Any

import pytest
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipelines.command import main
from tests.conftest import exhaustive
from tests.pipelines.conftest import LIGHT
from tests.pipelines.launch.dataflow.conftest import IMAGE, output_of
from tests.servers.dataflow import DataflowServer
from tests.servers.gcs import GcsServer
from tests.servers.rest import Refusal
from transforms.collection.manifest import read_manifest
from transforms.core.errors import RunError

__all__ = ["LIGHT", "staged"]

CONSOLE = "https://console.cloud.google.com/dataflow/jobs/europe-west4/a-job?project=a-project"
CANCEL = "gcloud dataflow jobs cancel a-job --project a-project --region europe-west4"


def staged(dataflow: DataflowServer, name: str) -> bytes:
    environment = dataflow.submitted[0]["environment"]
    packages = {p["name"]: p["location"] for p in environment["workerPools"][0]["packages"]}
    path = packages[name].replace("storage.googleapis.com/", "gs://")
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as f:
        content: bytes = f.read()
    return content


def hints_by_step(dataflow: DataflowServer) -> dict[str, dict[str, bytes]]:
    components = dataflow.staged_graph().components
    return {
        step.unique_name: dict(components.environments[step.environment_id].resource_hints)
        for step in components.transforms.values()
        if step.environment_id
    }


def test_a_job_on_processors_is_named_labelled_and_has_our_source(
    flags: list[str], dataflow: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*flags, "--no_wait", "--label=team=birds"]) == 0
    (body,) = dataflow.submitted
    assert body["name"].startswith("embed-images-mobilenet-2")
    labels = body["labels"]
    assert (labels["project"], labels["backbone"], labels["team"]) == ("beam-image-embeddings", "mobilenet", "birds")
    assert len(labels["spec"]) == 16
    (pool,) = body["environment"]["workerPools"]
    assert (pool["machineType"], pool["numThreadsPerWorker"]) == ("n2-standard-4", 4)
    assert "no_use_multiple_sdk_containers" in body["environment"]["experiments"]
    assert "use_multiple_sdk_containers" not in body["environment"]["experiments"]
    with tarfile.open(fileobj=io.BytesIO(staged(dataflow, "workflow.tar.gz"))) as source:
        packed = {name.partition("/")[2] for name in source.getnames()}
    assert {"setup.py", "pyproject.toml", "transforms/embed/images.py", "pipelines/options/flags.py"} <= packed
    assert "transforms/backbones/catalog/catalog.csv" in packed
    assert not any(hints_by_step(dataflow).values())


def test_without_waiting_the_address_is_printed_and_no_look_taken(
    flags: list[str], dataflow: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*flags, "--no_wait"]) == 0
    printed = capsys.readouterr()
    assert CONSOLE in printed.out
    assert CANCEL in printed.out
    assert printed.err == ""
    assert [request.partition(" ")[0] for request in dataflow.requests] == ["POST"]
    assert [name for name in output_of(dataflow) if not name.startswith("/.run-")] == []


def test_a_job_on_gpus_asks_for_them_on_the_embedding_alone(flags: list[str], dataflow: DataflowServer) -> None:
    gpu = ["--gpu", "nvidia-l4", "--sdk_container_image", IMAGE, "--backbone", "MobileNet,MobileNetV2"]
    network = ["--subnetwork=regions/europe-west4/subnetworks/s", "--network=n", "--no_use_public_ips"]
    service = ["--dataflow_service_options=enable_google_cloud_profiler", "--service_account_email=w@p.iam"]
    assert main([*flags, "--no_wait", *gpu, *network, *service, "--max_num_workers=7"]) == 0
    environment = dataflow.submitted[0]["environment"]
    (pool,) = environment["workerPools"]
    assert (pool["network"], pool["subnetwork"]) == ("n", "regions/europe-west4/subnetworks/s")
    assert (pool["ipConfiguration"], pool["autoscalingSettings"]["maxNumWorkers"]) in ((2, 7), ("WORKER_IP_PRIVATE", 7))
    # Of the steps without a GPU: not n1-standard-1, which has too little memory for a list of millions.
    assert pool["machineType"] == "n2-standard-4"
    assert pool["diskSizeGb"] == 100
    assert {image["containerImage"] for image in pool["sdkHarnessContainerImages"]} == {IMAGE}
    assert "workflow.tar.gz" not in {package["name"] for package in pool["packages"]}
    assert environment["serviceOptions"] == ["enable_google_cloud_profiler"]
    assert environment["serviceAccountEmail"] == "w@p.iam"
    steps = hints_by_step(dataflow)
    hint = {"beam:resources:accelerator:v1": b"type:nvidia-l4;count:1;machine_type:g2-standard-8;install-nvidia-driver"}
    embedding = {name for name in steps if name.split("/")[:2] in (["MobileNet", "Embed"], ["MobileNetV2", "Embed"])}
    assert any("BatchElements" in name for name in embedding)
    assert {name for name, hints in steps.items() if hints} == embedding
    assert all(steps[name] == hint for name in embedding)


def test_a_finished_job_is_summed_up_from_what_its_workers_counted(
    flags: list[str], dataflow: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    dataflow.states, dataflow.runs = ["JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_DONE"], True
    assert main(flags) == 0
    printed = capsys.readouterr()
    assert CONSOLE in printed.out
    assert "10 of 10 inputs embedded by MobileNet" in printed.out
    # The device is told by a counter of the workers.
    assert " in float32 on CPU" in printed.out
    assert printed.err == ""
    manifest = read_manifest(f"gs://{dataflow.bucket}/out")
    assert manifest is not None
    assert manifest["counts"]["embedded"] == 10
    assert dataflow.submitted[0]["labels"]["spec"] == manifest["embedding_spec_fingerprint"]


@pytest.mark.exhaustive
def test_a_finished_job_over_the_failure_budget_is_3(flags: list[str], dataflow: DataflowServer) -> None:
    with FileSystems.create(f"gs://{dataflow.bucket}/in/bad.jpg") as f:
        f.write(b"bad")
    dataflow.runs = True
    assert main([*flags, "--max_failure_ratio=0.01"]) == 3


@pytest.mark.exhaustive
@pytest.mark.parametrize("ratio", ["0.01", "0.5"])
def test_a_job_that_nobody_waits_for_fails_over_the_failure_budget_and_keeps_all(
    flags: list[str], dataflow: DataflowServer, ratio: str
) -> None:
    """Else a template's job is green in the morning, whatever was lost in the night."""
    with FileSystems.create(f"gs://{dataflow.bucket}/in/bad.jpg") as f:
        f.write(b"bad")
    assert main([*flags, "--no_wait", "--backbone=MobileNet,MobileNetV2", f"--max_failure_ratio={ratio}"]) == 0
    if ratio == "0.01":
        with pytest.raises(RunError, match=r"1 of 11 inputs failed, more than --max_failure_ratio 0\.01 allows"):
            dataflow.run_staged()
    else:
        dataflow.run_staged()
    for backbone in ("MobileNet", "MobileNetV2"):
        manifest = read_manifest(f"gs://{dataflow.bucket}/out/{backbone}")
        assert manifest is not None
        assert (manifest["counts"]["embedded"], manifest["counts"]["failed"]) == (10, 1)
        names = {f"/{backbone}/{file['name']}" for file in manifest["files"]}
        assert names <= set(output_of(dataflow))


@pytest.mark.parametrize(
    ("state", "errors", "says"),
    [
        (
            "JOB_STATE_FAILED",
            ["Traceback (most recent call last):\n  x\nRuntimeError: no GPU\n", "Workflow failed."],
            "RuntimeError: no GPU",
        ),
        *exhaustive(
            ("JOB_STATE_FAILED", ["Quota 'GPUS' exceeded."], "Quota 'GPUS' exceeded."),
            ("JOB_STATE_CANCELLED", [], "the job was cancelled"),
        ),
    ],
)
def test_a_job_that_ends_badly_is_1_with_its_reason_and_keeps_nothing(
    state: str,
    errors: list[str],
    says: str,
    flags: list[str],
    dataflow: DataflowServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dataflow.states, dataflow.errors = ["JOB_STATE_RUNNING", state], errors
    assert main(flags) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert line.endswith("; nothing half-written was kept")
    assert output_of(dataflow) == []


@pytest.mark.exhaustive
def test_a_job_that_ends_badly_says_what_it_could_not_remove(
    flags: list[str], dataflow: DataflowServer, storage: GcsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    dataflow.states, dataflow.errors = ["JOB_STATE_FAILED"], ["Quota 'GPUS' exceeded."]
    storage.fail(403, matching="owner.json?prettyPrint")
    assert main(flags) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "Quota 'GPUS' exceeded.; what it wrote to gs://" in line
    assert "cannot be removed: " in line
    assert any(name.endswith("owner.json") for name in output_of(dataflow))


def test_a_job_that_is_done_without_a_manifest_is_no_success(
    flags: list[str], dataflow: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(flags) == 1
    assert "has no manifest" in capsys.readouterr().err


@pytest.mark.exhaustive
def test_an_interrupted_command_leaves_the_job_and_says_how_to_cancel_it(
    flags: list[str], dataflow: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    dataflow.states = ["JOB_STATE_RUNNING"]
    dataflow.looked = lambda: _thread.interrupt_main()
    assert main(flags) == 130
    assert f"the job runs on, to cancel it:\n  {CANCEL}" in capsys.readouterr().err
    assert {request.partition(" ")[0] for request in dataflow.requests[1:]} <= {"GET"}
    assert output_of(dataflow) != []


@pytest.mark.exhaustive
def test_an_error_while_a_job_is_followed_leaves_the_job_what_it_writes(
    flags: list[str], dataflow: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    dataflow.refuses = Refusal(403, "the permission was withdrawn")
    assert main(flags) == 1
    line, cancel = capsys.readouterr().err.splitlines()
    assert line.startswith("embed-images: the job cannot be followed: ")
    assert line.endswith("; --log_level debug shows more; no longer followed; the job runs on, to cancel it:")
    assert cancel == f"  {CANCEL}"
    assert [name.rpartition("/")[2] for name in output_of(dataflow)] == ["owner.json"]


@pytest.mark.exhaustive
def test_an_error_after_a_job_is_done_leaves_what_it_wrote(
    flags: list[str], dataflow: DataflowServer, storage: GcsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    dataflow.runs = True
    # As soon as the job is done: no answer to whether there is a manifest.
    dataflow.looked = lambda: storage.fail(403, matching="out%2Fmanifest.json")
    assert main(flags) == 1
    line, cancel = capsys.readouterr().err.splitlines()
    assert line.startswith("embed-images: the job cannot be followed: ")
    assert cancel == f"  {CANCEL}"
    manifest = read_manifest(f"gs://{dataflow.bucket}/out")
    assert manifest is not None
    assert {f"/{file['name']}" for file in manifest["files"]} <= set(output_of(dataflow))


@pytest.mark.exhaustive
def test_an_interrupt_while_a_job_is_submitted_says_where_to_look_and_keeps_nothing(
    flags: list[str], dataflow: DataflowServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(root: object, plan: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.embed_images.build", interrupted)
    assert main(flags) == 130
    printed = capsys.readouterr()
    assert "console shows whether it was, nothing half-written was kept; to start again:\n  embed-images" in printed.err
    assert dataflow.requests == []
    assert output_of(dataflow) == []


@pytest.mark.exhaustive
def test_counters_that_cannot_be_had_cost_no_job(
    flags: list[str], dataflow: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    dataflow.runs, dataflow.counts = True, False
    assert main(flags) == 0
    printed = capsys.readouterr()
    assert "10 of 10 inputs embedded by MobileNet" in printed.out
    assert printed.err.startswith("embed-images: the job's counters are unknown: ")
    assert printed.err.count("\n") == 1


def test_a_template_is_written_and_nothing_submitted(
    flags: list[str], dataflow: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    path = f"gs://{dataflow.bucket}/templates/nightly"
    assert main([*flags, f"--template_location={path}"]) == 0
    assert capsys.readouterr().out == f"template written to {path}\n"
    assert FileSystems.exists(path)
    assert dataflow.requests == []


@pytest.mark.exhaustive
def test_a_job_that_the_service_refuses_is_1_and_keeps_nothing(
    flags: list[str], dataflow: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    other = [flag.replace("--project=a-project", "--project=another-project") for flag in flags]
    assert main(other) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("embed-images: the job was not submitted: ")
    assert output_of(dataflow) == []


def test_a_bucket_that_is_not_there_is_2_before_anything_is_sent(
    flags: list[str], dataflow: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    missing: Any = [*flags, "--temp_location=gs://no-such-bucket-1/tmp", "--staging_location=gs://no-such-bucket-1/s"]
    assert main(missing) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert dataflow.submitted == []
