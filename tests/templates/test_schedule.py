"""The schedule: what is sent to Cloud Scheduler, and what that sends to Dataflow each night."""

import base64
import dataclasses
import importlib
import json
import pathlib
import re
import shlex
from typing import Any

import pytest
from google.cloud import dataflow_v1beta3, scheduler_v1
from google.protobuf.json_format import ParseDict

from templates.clients import connect, run_command
from templates.schedule import Schedule, launch_request, main, parser
from tests.servers.rest import RestServer

JOBS = "/v1/projects/a-project/locations/europe-west4/jobs"
JOB = f"{JOBS}/nightly"
FLAGS = [
    "--project=a-project",
    "--region=europe-west4",
    "--name=nightly",
    "--template=gs://b/templates/embed_images.json",
]
FLAGS += ["--service_account=launcher@a-project.iam", "--worker_account=worker@a-project.iam", "--max_workers=8"]
FLAGS += ["--temp_location=gs://b/tmp", "--cron=30 1 * * *", "--time_zone=Europe/Amsterdam"]
PARAMETERS = {"input": "gs://b/in/{date}", "output": "gs://b/out/{date}", "gpu": "nvidia-l4", "normalize": "true"}
GIVEN = [f"--parameter={name}={value}" for name, value in PARAMETERS.items()]


def printed(flags: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run_command(main, [*flags, "--dry_run"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_schedule_is_what_the_parser_finds_but_for_how_it_is_sent() -> None:
    parsed = parser().parse_args([*FLAGS, *GIVEN, '--environment={"subnetwork": "s"}'])
    found = Schedule.of(parsed)
    fields = [field.name for field in dataclasses.fields(Schedule)]
    assert set(fields) == set(vars(parsed)) - {"dry_run", "scheduler_endpoint"}
    for name in fields:
        assert getattr(found, name) == getattr(parsed, name), name
    assert (found.name, found.cron, found.max_workers) == ("nightly", "30 1 * * *", 8)
    assert found.parameter == [f"{name}={value}" for name, value in PARAMETERS.items()]
    assert found.environment == {"subnetwork": "s"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.name = "weekly"  # type: ignore[misc]


def test_what_is_sent_is_of_googles_types(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed([*FLAGS, *GIVEN], capsys)
    job = ParseDict(shown["job"], scheduler_v1.Job.pb()())
    assert (job.schedule, job.time_zone) == ("30 1 * * *", "Europe/Amsterdam")
    assert job.http_target.oauth_token.service_account_email == "launcher@a-project.iam"
    assert json.loads(job.http_target.body) == shown["body"]
    request = ParseDict(shown["body"], dataflow_v1beta3.LaunchFlexTemplateRequest.pb()())
    launch = request.launch_parameter
    assert (launch.job_name, launch.container_spec_gcs_path) == ("nightly", "gs://b/templates/embed_images.json")
    assert dict(launch.parameters) == {**PARAMETERS, "existing": "update"}
    assert (launch.environment.max_workers, launch.environment.service_account_email) == (8, "worker@a-project.iam")


def test_the_scheduler_sends_what_dataflows_own_client_sends(
    rest: RestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    launch = "POST /v1b3/projects/a-project/locations/europe-west4/flexTemplates:launch"
    rest.answers[launch] = [{"job": {"id": "a-job"}}]
    client = connect(dataflow_v1beta3.FlexTemplatesServiceClient, rest.address)
    answered = client.launch_flex_template(launch_request(Schedule.of(parser().parse_args([*FLAGS, *GIVEN]))))
    assert answered.job.id == "a-job"
    shown = printed([*FLAGS, *GIVEN], capsys)
    assert rest.requests == [(launch, shown["body"])]
    target = shown["job"]["httpTarget"]
    assert f"{target['httpMethod']} {target['uri']}" == launch.replace(" ", " https://dataflow.googleapis.com")


def test_a_schedule_is_created_once_and_then_updated(rest: RestServer, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [*FLAGS, *GIVEN]
    job = printed(flags, capsys)["job"]
    flags.append(f"--scheduler_endpoint={rest.address}")
    rest.answers = {f"PATCH {JOB}": [None, job], f"POST {JOBS}": [job]}
    assert run_command(main, flags) == 0
    assert capsys.readouterr().out == f"created   {JOB[4:]}: 30 1 * * * Europe/Amsterdam\n"
    assert run_command(main, flags) == 0
    assert capsys.readouterr().out == f"updated   {JOB[4:]}: 30 1 * * * Europe/Amsterdam\n"
    assert [request for request, _ in rest.requests] == [f"PATCH {JOB}", f"POST {JOBS}", f"PATCH {JOB}"]
    for _, body in rest.requests:
        assert normal({"name": job["name"], **body}) == normal(job)


def normal(job: dict[str, Any]) -> Any:
    return ParseDict(job, scheduler_v1.Job.pb()())


def test_two_schedules_differ_in_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (printed([*FLAGS, *given], capsys)["job"] for given in (GIVEN, GIVEN[::-1]))
    assert json.loads(base64.b64decode(first["httpTarget"]["body"])) == json.loads(
        base64.b64decode(second["httpTarget"]["body"])
    )


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (GIVEN[1:], "--parameter input=... is missing"),
        ([*GIVEN, "--parameter=backbon=VGG16"], "backbon is none of the template's (did you mean 'backbone'?)"),
        ([*GIVEN, "--parameter=no_wait=true"], "no_wait is none of the template's"),
        ([*GIVEN, "--parameter=batch_size=0"], "--parameter batch_size must match"),
        ([*GIVEN, "--parameter=gpu=h100"], "argument --gpu: 'h100' is not one of"),
        (
            [*GIVEN, "--parameter=output=gs://b/out", "--parameter=existing=refuse"],
            "the same every night, and the second would be refused",
        ),
        ([*GIVEN, "--parameter=output=/tmp/{date}"], "--parameter output must match"),
        ([*GIVEN, '--environment={"subnetwrk": "s"}'], "--environment: "),
        ([*GIVEN, "--name=Nightly"], "must be of lower-case letters"),
        ([*GIVEN, "--cronn=x"], "see python -m templates.schedule --help"),
    ],
)
def test_what_would_fail_at_night_is_refused_today(
    flags: list[str], says: str, rest: RestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(main, [*FLAGS, *flags, f"--scheduler_endpoint={rest.address}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert rest.requests == []


@pytest.mark.parametrize(("given", "existing"), [([], "update"), (["--parameter=existing=replace"], "replace")])
def test_one_folder_for_every_night_is_updated_unless_told_otherwise(
    given: list[str], existing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = printed([*FLAGS, *GIVEN, "--parameter=output=gs://b/out", *given], capsys)
    parameters = shown["body"]["launchParameter"]["parameters"]
    assert (parameters["output"], parameters["existing"]) == ("gs://b/out", existing)


def test_what_google_refuses_is_1_with_its_reason(rest: RestServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(main, [*FLAGS, *GIVEN, f"--scheduler_endpoint={rest.address}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("templates.schedule: 404")


MANUAL = (pathlib.Path(__file__).parents[2] / "templates" / "README.md").read_text(encoding="utf-8")
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", MANUAL, re.DOTALL)).replace("\\\n", " ")


def commands_of_the_manual() -> list[list[str]]:
    return [shlex.split(line)[2:] for line in SHELL.splitlines() if line.startswith("python -m templates.")]


@pytest.mark.parametrize("command", commands_of_the_manual(), ids=" ".join)
def test_the_manuals_commands_are_taken(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    module, *flags = command
    assert run_command(importlib.import_module(module).main, [*flags, "--dry_run"]) == 0
    assert json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("account", ["builder", "worker", "launcher", "you"])
def test_the_manual_grants_each_role_that_it_says_an_account_needs(account: str) -> None:
    (row,) = re.findall(rf"^\| `?{account}`? \|.*", MANUAL, re.MULTILINE)
    roles = re.findall(r"roles/([\w.]+)", row)
    assert roles
    for role in roles:
        assert role in SHELL


def test_the_manual_switches_on_each_service_that_its_commands_need() -> None:
    (enabled,) = re.findall(r"gcloud services enable (.*)", SHELL)
    services = ["dataflow", "compute", "storage", "artifactregistry", "cloudbuild", "cloudscheduler", "logging"]
    # The last two make accounts and grant roles.
    services += ["iam", "cloudresourcemanager"]
    assert set(enabled.split()) == {f"{service}.googleapis.com" for service in services}


def test_the_manual_deploys_schedules_and_rolls_back() -> None:
    assert [command[0] for command in commands_of_the_manual()] == [
        "templates.deploy",
        "templates.schedule",
        "templates.deploy",
    ]
