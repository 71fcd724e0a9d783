"""Building and registering the template, against an emulated Cloud Storage and a Cloud Build endpoint on loopback."""

import io
import json
import tarfile
from typing import Any

import pytest
from apache_beam.io.filesystems import FileSystems
from google.cloud import dataflow_v1beta3
from google.cloud.devtools import cloudbuild_v1
from google.protobuf.json_format import ParseDict

from templates.clients import run_command
from templates.deploy import main
from templates.metadata import metadata
from templates.source import pack_source
from tests.servers.rest import RestServer

CREATE = "POST /v1/projects/a-project/builds"
LOOK = "GET /v1/projects/a-project/builds/a-build"


def build(status: str) -> dict[str, Any]:
    return {"id": "a-build", "status": status, "logUrl": "https://console.cloud.google.com/a-build"}


@pytest.fixture
def flags(bucket: str, rest: RestServer) -> list[str]:
    """The flags of a deployment that succeeds."""
    kind = "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata"
    rest.answers[CREATE] = [{"name": "operations/a", "metadata": {"@type": kind, "build": build("QUEUED")}}]
    rest.answers[LOOK] = [build("WORKING"), build("SUCCESS")]
    place = ["--project=a-project", "--region=europe-west4", f"--bucket={bucket}"]
    return [*place, f"--build_endpoint={rest.address}"]


def read(path: str) -> bytes:
    with FileSystems.open(path, "application/octet-stream", compression_type="uncompressed") as f:
        content: bytes = f.read()
    return content


def printed(flags: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run_command(main, [*flags, "--dry_run"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_deployment_builds_the_source_and_registers_a_spec_of_googles_type(
    flags: list[str], bucket: str, rest: RestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = printed(flags, capsys)
    assert rest.requests == []
    assert run_command(main, flags) == 0
    assert [request for request, _ in rest.requests] == [CREATE, LOOK, LOOK]
    sent = ParseDict(rest.requests[0][1], cloudbuild_v1.Build.pb()())
    assert sent == ParseDict(shown["createBuild"]["build"], cloudbuild_v1.Build.pb()())
    spec = json.loads(read(f"gs://{bucket}/templates/embed_images.json"))
    assert spec == shown["spec"]["content"]
    parsed = ParseDict(spec, dataflow_v1beta3.ContainerSpec.pb()())
    assert list(sent.images) == [parsed.image, f"{parsed.image}-cuda"]
    for step, target, image in zip(sent.steps, ("without_gpu", "with_gpu"), sent.images, strict=True):
        assert {f"--target={target}", f"--tag={image}", f"--build-arg=IMAGE={parsed.image}"} <= set(step.args)
    assert parsed.sdk_info.language == dataflow_v1beta3.SDKInfo.Language.PYTHON
    assert spec["metadata"] == metadata()
    source = sent.source.storage_source
    assert read(f"gs://{source.bucket}/{source.object_}") == pack_source()
    assert shown["source"]["object"] == f"gs://{source.bucket}/{source.object_}"
    assert "current   " in capsys.readouterr().out


def test_the_same_source_is_built_once(flags: list[str], rest: RestServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(main, flags) == 0
    before = len(rest.requests)
    assert run_command(main, flags) == 0
    assert len(rest.requests) == before
    assert "before" in capsys.readouterr().out


def test_an_older_template_is_made_current_again_by_its_tag(
    flags: list[str], bucket: str, rest: RestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    old, current = f"gs://{bucket}/templates/embed_images/0.0.9-abc.json", f"gs://{bucket}/templates/embed_images.json"
    with FileSystems.create(old) as f:
        f.write(b'{"image": "old"}')
    assert run_command(main, flags) == 0
    capsys.readouterr()
    assert printed([*flags, "--tag=0.0.9-abc"], capsys) == {"copy": old, "to": current}
    asked = len(rest.requests)
    assert run_command(main, [*flags, "--tag=0.0.9-abc"]) == 0
    assert read(current) == b'{"image": "old"}'
    assert len(rest.requests) == asked


def test_a_tag_that_was_never_built_is_refused(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(main, [*flags, "--tag=1.2.3-abc"]) == 2
    assert "there is no gs://" in capsys.readouterr().err


def test_a_failed_build_registers_nothing_and_is_tried_again(
    flags: list[str], bucket: str, rest: RestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    rest.answers[LOOK] = [{**build("FAILURE"), "failureInfo": {"detail": "step 0 exited with 1"}}]
    assert run_command(main, flags) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "templates.deploy: the build ended as FAILURE: step 0 exited with 1; nothing was registered"
    assert not FileSystems.exists(f"gs://{bucket}/templates/embed_images.json")
    rest.answers[LOOK] = [build("SUCCESS")]
    assert run_command(main, flags) == 0
    assert FileSystems.exists(f"gs://{bucket}/templates/embed_images.json")


def test_weights_and_the_account_that_builds_are_part_of_the_request(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    plain = printed(flags, capsys)["createBuild"]["build"]
    more = printed([*flags, "--backbones=MobileNetV2,ResNet50", "--build_account=b@p.iam"], capsys)["createBuild"][
        "build"
    ]
    assert "--build-arg=BACKBONES=MobileNetV2 ResNet50" in more["steps"][0]["args"]
    assert more["serviceAccount"] == "projects/a-project/serviceAccounts/b@p.iam"
    assert more["images"] != plain["images"]


def test_the_source_has_all_that_the_image_is_built_from_and_the_same_bytes_each_time() -> None:
    source = pack_source()
    assert source == pack_source()
    with tarfile.open(fileobj=io.BytesIO(source)) as archive:
        names = set(archive.getnames())
    assert {
        "pyproject.toml",
        "setup.py",
        "templates/embed_images/Dockerfile",
        "templates/embed_images/main.py",
    } <= names
    assert {"transforms/backbones/catalog/catalog.csv", "pipelines/command.py", "README.md", "LICENSE"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]
