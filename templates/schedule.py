"""Create or update the schedule that launches the template: a job of Cloud Scheduler that calls flexTemplates:launch.

python -m templates.schedule --project my-project --region europe-west4 --cron '0 2 * * *' \\
    --template gs://my-bucket/templates/embed_images.json --temp_location gs://my-bucket/tmp \\
    --service_account launcher@my-project.iam.gserviceaccount.com \\
    --worker_account worker@my-project.iam.gserviceaccount.com \\
    --parameter input=gs://my-bucket/photos --parameter output=gs://my-bucket/embeddings

The request is the same every night, and brings one collection in step with its input: `existing=update` goes
without saying. `{date}` and `{run}` in a path are filled in when the job is launched, in UTC.

If a night's job still runs when the next is launched, the launch returns that job, or an error, and starts nothing: the
jobs of a schedule have one name, and Dataflow has one active job of a name in a region. The same holds for a launch
that is retried because its answer was lost. Even if two runs meet, under different names, no run overwrites another's
files: of two runs at once in one folder one is committed, the other fails and says which stands, and what it alone has
seen is new to the night after.
"""

import argparse
import dataclasses
import json
import re
import sys
from typing import Any

from google.api_core.exceptions import NotFound
from google.cloud import dataflow_v1beta3, scheduler_v1
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import ParseDict, ParseError

from pipelines.options.arguments import Parser, a_count, an_object
from pipelines.options.command_line import parse
from pipelines.options.flags import NEEDED
from templates.clients import add_project, as_json, connect, run_command, show
from templates.metadata import metadata
from transforms.core.errors import UsageError, did_you_mean

DATAFLOW = "https://dataflow.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
FIELDS = ("description", "schedule", "time_zone", "http_target", "attempt_deadline", "retry_config")
"""Fields of a job that are set here, and so are updated."""

LAUNCHER_MACHINE = "n1-standard-2"
"""Machine of the launcher, which loads the model to build the graph; Google's default has 3.75 GB, half as much."""

DEFAULTS = {"existing": "update"}
"""Parameters of a night that none are given for: each brings the same collection in step with the input."""

DEADLINE_SECONDS = 180
RETRIES = 3


@dataclasses.dataclass(frozen=True)
class Schedule:
    """What the flags say of a schedule: each field is the flag of its name."""

    project: str
    region: str
    name: str
    template: str
    service_account: str
    worker_account: str
    cron: str
    time_zone: str
    temp_location: str
    max_workers: int | None
    parameter: list[str]
    environment: dict[str, Any]

    @classmethod
    def of(cls, parsed: argparse.Namespace) -> "Schedule":
        """Return the schedule that the parser found in a command line."""
        return cls(**{field.name: getattr(parsed, field.name) for field in dataclasses.fields(cls)})


def launch_request(plan: Schedule) -> dataflow_v1beta3.LaunchFlexTemplateRequest:
    """Return the request that launches the template.

    Raises:
      UsageError: a parameter is unknown, missing or wrong.
    """
    environment = {
        "serviceAccountEmail": plan.worker_account,
        "tempLocation": plan.temp_location,
        "stagingLocation": plan.temp_location,
        "maxWorkers": plan.max_workers,
        "launcherMachineType": LAUNCHER_MACHINE,
        **plan.environment,
    }
    launch = {
        "jobName": plan.name,
        "containerSpecGcsPath": plan.template,
        "parameters": checked_parameters(plan.parameter),
        "environment": {name: value for name, value in environment.items() if value},
    }
    request = dataflow_v1beta3.LaunchFlexTemplateRequest(project_id=plan.project, location=plan.region)
    try:
        ParseDict({"launchParameter": launch}, type(request).pb(request))
    except ParseError as e:
        raise UsageError(f"--environment: {e}") from e
    return request


def scheduled_job(plan: Schedule) -> scheduler_v1.Job:
    """Return the job of Cloud Scheduler.

    Raises:
      UsageError: as `launch_request`.
    """
    sent = as_json(launch_request(plan))
    path = f"v1b3/projects/{sent.pop('projectId')}/locations/{sent.pop('location')}/flexTemplates:launch"
    target = scheduler_v1.HttpTarget(
        uri=f"{DATAFLOW}/{path}",
        http_method=scheduler_v1.HttpMethod.POST,
        headers={"Content-Type": "application/json"},
        body=json.dumps(sent).encode(),
        oauth_token=scheduler_v1.OAuthToken(service_account_email=plan.service_account, scope=SCOPE),
    )
    return scheduler_v1.Job(
        name=f"projects/{plan.project}/locations/{plan.region}/jobs/{plan.name}",
        description="Launches the template embed_images; made by python -m templates.schedule",
        schedule=plan.cron,
        time_zone=plan.time_zone,
        http_target=target,
        attempt_deadline=Duration(seconds=DEADLINE_SECONDS),
        retry_config=scheduler_v1.RetryConfig(retry_count=RETRIES, min_backoff_duration=Duration(seconds=60)),
    )


def checked_parameters(given: list[str]) -> dict[str, str]:
    """Return the template's parameters by name, after every check that can be made before the night.

    Raises:
      UsageError: one is unknown, missing or wrong; or each night would write to the same folder.
    """
    pairs = {**DEFAULTS, **dict(text.partition("=")[::2] for text in given)}
    known = {parameter["name"]: parameter for parameter in metadata()["parameters"]}
    for name, value in pairs.items():
        if name not in known:
            raise UsageError(f"--parameter {name} is none of the template's{did_you_mean(name, list(known))}")
        for regex in known[name].get("regexes", []):
            if not re.search(regex, value):
                raise UsageError(f"--parameter {name} must match {regex}, is {value!r}")
    for name in NEEDED:
        if name not in pairs:
            raise UsageError(f"--parameter {name}=... is missing")
    settings, _ = parse([f"--{name}={value}" for name, value in pairs.items()], environ={})
    if settings.existing == "refuse" and not re.search(r"\{(date|run)\}", settings.output):
        raise UsageError(
            "--parameter output is the same every night, and the second would be refused: "
            "put {date} or {run} into it, or leave out --parameter existing=refuse"
        )
    return pairs


def schedule(job: scheduler_v1.Job, endpoint: str) -> None:
    """Update the job of this name, or create it."""
    client = connect(scheduler_v1.CloudSchedulerClient, endpoint)
    try:
        client.update_job(job=job, update_mask=FieldMask(paths=FIELDS))
        done = "updated"
    except NotFound:
        client.create_job(parent=job.name.rpartition("/jobs/")[0], job=job)
        done = "created"
    print(f"{done}   {job.name}: {job.schedule} {job.time_zone}")


def a_job_name(text: str) -> str:
    """Parse a name that Dataflow accepts for a job."""
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,60}[a-z0-9])?", text):
        raise argparse.ArgumentTypeError(f"must be of lower-case letters, digits and dashes, is {text!r}")
    return text


def parser() -> Parser:
    """Return the parser of this command's flags."""
    p = Parser(prog="python -m templates.schedule", description=(__doc__ or "").splitlines()[0])
    add_project(p)
    p.add_argument(
        "--name", type=a_job_name, default="embed-images-nightly", help="name of the schedule and of the Dataflow jobs"
    )
    p.add_argument("--template", required=True, help="path of the spec that templates.deploy wrote, gs://...")
    p.add_argument("--service_account", required=True, help="email of the account that launches")
    p.add_argument("--worker_account", default="", help="email of the account that the job runs as")
    p.add_argument("--cron", default="0 2 * * *", help="when, in cron's five fields (default 0 2 * * *)")
    p.add_argument("--time_zone", default="Etc/UTC", help="time zone of --cron (default Etc/UTC); {date} is always UTC")
    p.add_argument("--temp_location", default="", help="folder for the job's temporary files, gs://...")
    p.add_argument("--max_workers", type=a_count, help="maximum number of workers of a job")
    p.add_argument("--parameter", action="append", default=[], help="parameter of the template, NAME=VALUE; repeatable")
    p.add_argument(
        "--environment", type=an_object, default={}, help='further settings, e.g. {"subnetwork": "regions/..."}'
    )
    p.add_argument("--scheduler_endpoint", default="", help="another address of Cloud Scheduler, for tests")
    return p


def main(argv: list[str]) -> None:
    """Schedule as the flags say.

    Raises:
      UsageError: a flag or a parameter is wrong.
    """
    options = parser().parse_args(argv)
    job = scheduled_job(Schedule.of(options))
    if options.dry_run:
        sent = as_json(job)
        show({"job": sent, "body": json.loads(job.http_target.body)})
    else:
        schedule(job, options.scheduler_endpoint)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
