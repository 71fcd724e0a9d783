"""The template: its metadata, and its main.py as the launcher starts it."""

import json
import os
import pathlib
import re
import subprocess
import sys
from typing import Any

import pytest
from apache_beam.io.filesystems import FileSystems
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.cloud import dataflow_v1beta3
from google.protobuf.json_format import ParseDict

from pipelines.options.command_line import parse
from templates.metadata import PARSED_BY, metadata
from tests.conftest import exhaustive
from tests.servers.dataflow import PROJECT, REGION, DataflowServer
from tests.servers.gcs import GcsServer
from tests.servers.rest import RestServer
from tests.transforms.backbones.own.conftest import fine_tuned
from transforms.backbones.engines import ENGINES
from transforms.collection.manifest import read_manifest
from transforms.core.errors import UsageError

FOLDER = pathlib.Path(__file__).parents[2] / "templates" / "embed_images"
METADATA = json.loads((FOLDER / "metadata.json").read_text(encoding="utf-8"))
PARAMETERS: dict[str, dict[str, Any]] = {parameter["name"]: parameter for parameter in METADATA["parameters"]}
DEFAULTS = {name: p["defaultValue"] for name, p in PARAMETERS.items() if "defaultValue" in p}
IMAGE = "europe-west4-docker.pkg.dev/a-project/images/embed-images-python3.11:1"
LABELS = '{\n   "goog-dataflow-provided-template-type" : "flex"\n}\n'


def test_the_metadata_is_what_the_options_say() -> None:
    assert metadata() == METADATA, "run: python -m templates.metadata > templates/embed_images/metadata.json"


def test_the_metadata_is_of_googles_type() -> None:
    spec = {"image": IMAGE, "metadata": METADATA, "sdkInfo": {"language": "PYTHON"}}
    parsed = ParseDict(spec, dataflow_v1beta3.ContainerSpec.pb()())
    assert {p.name for p in parsed.metadata.parameters if not p.is_optional} == {"input", "output"}


def test_the_engines_on_offer_are_those_that_the_image_holds() -> None:
    """Else a person chooses one in the console, and the job fails once its workers have started."""
    offered = {option["value"] for option in PARAMETERS["engine"]["enumOptions"]}
    pinned = (FOLDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    held = {line.partition("==")[0] for line in pinned}
    assert offered == {"auto"} | {engine for engine, entry in ENGINES.items() if entry.installed_as in held}


def test_flags_for_a_person_are_no_parameters() -> None:
    personal = "help version list_backbones show_config config log_level log_format dry_run no_wait"
    assert not set(personal.split()) & set(PARAMETERS)
    assert {"backbone", "gpu", "normalize", "uri_column"} <= set(PARAMETERS)
    assert "repeatable" not in json.dumps(METADATA)


def test_each_default_says_the_same_as_leaving_the_parameter_out() -> None:
    needed = ["--input=gs://in/a.jpg", "--output=gs://out"]
    given, _ = parse([*needed, *(f"--{name}={value}" for name, value in DEFAULTS.items())])
    left_out, _ = parse(needed)
    for name in PARAMETERS:
        assert getattr(given, name) == getattr(left_out, name), name


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_what_the_metadata_lets_through_the_command_takes(name: str) -> None:
    samples = ["1", "0", "1.5", "0.5", "007", "true", "FALSE", "yes", "224", "224x320", "1x2x3", "{}", '{"alpha": 1}']
    samples += ["parquet", "tfrecord,parquet", "csv", "VGG16, VGG19", "gs://b/{date}/x", "/tmp/x", "s3://b/x"]
    parameter = PARAMETERS[name]
    flags = {"input": "gs://in/a.jpg", "output": "gs://out"}
    if name == "weights_sha256":
        flags["weights"] = "gs://w/a.h5"
    if name == "trust_model":
        flags["model"] = "gs://w/model"
    if name == "remove_missing":
        flags["existing"] = "update"
    if parameter["paramType"] == "ENUM":
        let_through = [option["value"] for option in parameter["enumOptions"]]
    else:
        let_through = [text for text in samples if all(re.search(r, text) for r in parameter.get("regexes", []))]
    assert let_through
    refused = {text for text in let_through if not taken({**flags, name: text})}
    assert refused <= ({"0"} if name == "fetch_timeout" else set())


def taken(flags: dict[str, str]) -> bool:
    try:
        parse([f"--{name}={value}" for name, value in flags.items()])
    except UsageError:
        return False
    return True


def test_every_way_to_parse_a_flag_has_a_type_of_google() -> None:
    assert {kind for kind, _ in PARSED_BY.values()} <= {kind.name for kind in dataflow_v1beta3.ParameterType}


@pytest.fixture
def environment(rest: RestServer, tmp_path: pathlib.Path) -> dict[str, str]:
    """The image's, and what speaks to the servers on loopback: a service account whose tokens come from there."""
    rest.answers["POST /token"] = [{"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"}]
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key": key.decode(),
        "client_email": "w@p.iam",
        "token_uri": f"{rest.address}/token",
    }
    path = tmp_path / "account.json"
    path.write_text(json.dumps(account))
    return {**os.environ, "GOOGLE_APPLICATION_CREDENTIALS": str(path), "EMBED_IMAGES_IMAGE": IMAGE}


def launch(
    dataflow: DataflowServer, environment: dict[str, str], parameters: dict[str, str], **more: str
) -> subprocess.CompletedProcess[str]:
    """Start main.py as the launcher does: each parameter a string, and where the job is to be written."""
    assert set(parameters) <= set(PARAMETERS)
    bucket = f"gs://{dataflow.bucket}"
    flags = {
        **parameters,
        "runner": "DataflowRunner",
        "project": PROJECT,
        "region": REGION,
        "job_name": "nightly",
        "labels": LABELS,
        "temp_location": f"{bucket}/tmp",
        "staging_location": f"{bucket}/staging",
        "template_location": f"{bucket}/staging/template_launches/a-job/job_object",
        **more,
    }
    command = [sys.executable, str(FOLDER / "main.py"), *(f"--{name}={value}" for name, value in flags.items())]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")


@pytest.fixture
def parameters(dataflow: DataflowServer, photos: pathlib.Path) -> dict[str, str]:
    """Parameters that embed ten images of the bucket, with all defaults as the console sends them."""
    output = f"gs://{dataflow.bucket}/out/{{date}}/{{run}}"
    light = {"weights": "random", "backbone": "MobileNet", "image_size": "32", "normalize": "true"}
    return {**DEFAULTS, "input": dataflow.upload(photos), "output": output, **light}


def written_job(dataflow: DataflowServer) -> dict[str, Any]:
    with FileSystems.open(f"gs://{dataflow.bucket}/staging/template_launches/a-job/job_object") as f:
        job: dict[str, Any] = json.loads(f.read())
    return job


def test_a_launch_hands_over_a_job_that_embeds_the_images(
    dataflow: DataflowServer, environment: dict[str, str], parameters: dict[str, str]
) -> None:
    launched = launch(dataflow, environment, parameters)
    assert (launched.returncode, launched.stderr) == (0, "")
    assert dataflow.requests == []
    job = written_job(dataflow)
    assert job["name"] == "nightly"
    assert (job["labels"]["goog-dataflow-provided-template-type"], job["labels"]["backbone"]) == ("flex", "mobilenet")
    # The launcher submits what was written.
    dataflow.submitted.append(job)
    dataflow.run_staged()
    folder = f"gs://{dataflow.bucket}/out"
    paths = [m.path for found in FileSystems.match([f"{folder}/**"]) for m in found.metadata_list]
    (path,) = [path for path in paths if path.endswith("manifest.json")]
    day, run, _ = path[len(folder) + 1 :].split("/")
    manifest = read_manifest(f"{folder}/{day}/{run}")
    assert manifest is not None
    assert (manifest["run_id"], manifest["run_id"][:8]) == (run, day.replace("-", ""))
    assert manifest["counts"]["embedded"] == 10
    assert manifest["embedding_spec"]["normalize"] is True


@pytest.mark.exhaustive
def test_a_launch_takes_a_whole_model_beside_all_defaults(
    dataflow: DataflowServer,
    storage: GcsServer,
    environment: dict[str, str],
    parameters: dict[str, str],
    tmp_path: pathlib.Path,
) -> None:
    fine_tuned().save(tmp_path / "mine.keras")
    model = storage.put("mine.keras", (tmp_path / "mine.keras").read_bytes())
    paths = {name: parameters[name] for name in ("input", "output")}
    launched = launch(dataflow, environment, {**DEFAULTS, **paths, "model": model})
    assert (launched.returncode, launched.stderr) == (0, "")
    job = written_job(dataflow)
    assert job["labels"]["backbone"] == "mine-keras"
    dataflow.submitted.append(job)
    dataflow.run_staged()
    written = [m.path for found in FileSystems.match([f"gs://{dataflow.bucket}/out/**"]) for m in found.metadata_list]
    (path,) = [path for path in written if path.endswith("/manifest.json")]
    manifest = read_manifest(path.removesuffix("/manifest.json"))
    assert manifest is not None
    assert (manifest["counts"]["embedded"], manifest["embedding_spec"]["backbone"]) == (10, "keras")


@pytest.mark.exhaustive
def test_two_nights_that_overlap_in_one_folder_harm_neither_each_other_nor_a_reader(
    dataflow: DataflowServer, environment: dict[str, str], parameters: dict[str, str]
) -> None:
    folder = f"gs://{dataflow.bucket}/out"
    jobs = []
    for _ in range(2):
        assert launch(dataflow, environment, {**parameters, "output": folder}).returncode == 0
        jobs.append(written_job(dataflow))
    stood = []
    for job in jobs:
        dataflow.submitted[:] = [job]
        dataflow.run_staged()
        manifest = read_manifest(folder)
        assert manifest is not None
        named = {f"{folder}/{file['name']}" for file in manifest["files"]}
        assert {path.rpartition("/")[0] for path in named} == {f"{folder}/parquet"}
        assert all(FileSystems.exists(path) for path in named)
        assert manifest["counts"]["embedded"] == 10
        stood.append(named)
    assert not stood[0] & stood[1]
    found = {m.path for found in FileSystems.match([f"{folder}/**"]) for m in found.metadata_list}
    assert found == stood[1] | {f"{folder}/manifest.json"}
    third = launch(dataflow, environment, {**parameters, "output": folder})
    assert third.returncode == 2
    assert third.stderr.endswith("or --existing replace, or choose another folder\n")


@pytest.mark.parametrize(("more", "image"), [*exhaustive(({}, IMAGE)), ({"gpu": "nvidia-l4"}, f"{IMAGE}-cuda")])
def test_workers_have_the_launchers_image_with_cuda_only_where_there_is_a_gpu(
    dataflow: DataflowServer,
    environment: dict[str, str],
    parameters: dict[str, str],
    more: dict[str, str],
    image: str,
) -> None:
    launched = launch(dataflow, environment, {**parameters, **more})
    assert (launched.returncode, launched.stderr) == (0, "")
    (pool,) = written_job(dataflow)["environment"]["workerPools"]
    assert {found["containerImage"] for found in pool["sdkHarnessContainerImages"]} == {image}
    assert "workflow.tar.gz" not in {package["name"] for package in pool.get("packages", [])}


@pytest.mark.exhaustive
def test_an_image_that_the_launch_names_wins(
    dataflow: DataflowServer, environment: dict[str, str], parameters: dict[str, str]
) -> None:
    launched = launch(dataflow, environment, parameters, sdk_container_image="another")
    assert (launched.returncode, launched.stderr) == (0, "")
    (pool,) = written_job(dataflow)["environment"]["workerPools"]
    assert {image["containerImage"] for image in pool["sdkHarnessContainerImages"]} == {"another"}


def test_a_launch_that_cannot_work_fails_with_one_line(
    dataflow: DataflowServer, environment: dict[str, str], parameters: dict[str, str]
) -> None:
    launched = launch(dataflow, environment, {**parameters, "backbone": "MobilNet"})
    assert launched.returncode == 2
    (line,) = launched.stderr.splitlines()
    assert "did you mean 'MobileNet'?" in line
