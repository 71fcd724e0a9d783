"""Submit a job to Dataflow, and follow it to its end.

The job does not need this process: after an interrupt it runs on. What a failed or cancelled job wrote is removed.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions
from apache_beam.runners.runner import PipelineState

from pipelines.console.interrupts import raise_when_interrupted
from pipelines.console.lines import complain, say
from pipelines.console.progress import Progress
from pipelines.console.unexpected import cause
from pipelines.launch.claimed import Claim, claimed
from pipelines.launch.dataflow.job import DataflowJob
from pipelines.plan.plan import Plan
from pipelines.plan.run_stats import RunStats
from transforms.collection.manifest import read_manifest
from transforms.core.counters import counted
from transforms.core.errors import RunError, UsageError, one_line
from transforms.storage.files import delete

POLL_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between two looks at a job; the last one repeats."""

REASON_SECONDS = 30.0
"""How long to wait for a failed job's error message, in seconds: Dataflow's messages come late."""


def submit(build: Callable[[beam.Pipeline], None], plan: Plan, job: DataflowJob) -> RunStats | None:
    """Submit a job and follow it; return None if it is not awaited.

    Raises:
      UsageError: something cannot work; nothing was submitted.
      RunError: the job could not be submitted, failed, or was cancelled.
      Interrupted: a signal came; a submitted job runs on.
    """
    try:
        pipeline = beam.Pipeline(options=job.options)
    except ValueError as e:
        raise UsageError(f"Dataflow does not take these flags: {one_line(e)}") from e
    check_staging(job, plan)
    google = job.options.view_as(GoogleCloudOptions)
    held = Claim(
        failed="the job was not submitted",
        interrupted="interrupted while the job was submitted; the console shows whether it was",
    )
    with claimed(plan, held):
        started = time.monotonic()
        build(pipeline)
        result = pipeline.run()
        if not result.has_job:
            say(f"template written to {google.template_location}")
            return None
        cancel = f"gcloud dataflow jobs cancel {result.job_id()} --project {google.project} --region {google.region}"
        held.runs_on = f"no longer followed; the job runs on, to cancel it:\n  {cancel}"
        held.failed = "the job cannot be followed"
        say(
            f"submitted job {result.job_id()}, named {google.job_name}",
            f"  console   {console_address(google, result.job_id())}",
        )
        if plan.settings.no_wait:
            say(f"  cancel    {cancel}")
            return None
        return follow(result, pipeline.runner, plan, started)


def check_staging(job: DataflowJob, plan: Plan) -> None:
    """Write a small object where the job will be staged, and remove it; Beam would retry for minutes.

    Raises:
      UsageError: nothing can be written there.
    """
    google = job.options.view_as(GoogleCloudOptions)
    for flag in ("temp_location", "staging_location"):
        folder = getattr(google, flag)
        if not folder:
            continue
        path = FileSystems.join(folder, f"embed-images-{plan.run_id}.probe")
        try:
            with FileSystems.create(path) as f:
                f.write(b"can be written")
            delete([path])
        except Exception as e:
            raise UsageError(f"cannot write to --{flag} {folder}: {one_line(e)}") from e


def console_address(google: GoogleCloudOptions, job_id: str) -> str:
    """Return the address of the job's page in Google's console."""
    return f"https://console.cloud.google.com/dataflow/jobs/{google.region}/{job_id}?project={google.project}"


def follow(result: Any, runner: Any, plan: Plan, started: float) -> RunStats:
    """Show a job's progress until it ends.

    Raises:
      RunError: the job failed, was cancelled, or left no manifest.
      KeyboardInterrupt: a signal came.
    """
    raise_when_interrupted()
    counters: dict[str, int] = {}
    fetching = 0.0
    with Progress(len(plan.targets), lambda: counters) as progress:
        for state in _states(result):
            try:
                counters.update(counted(result))
            except Exception as e:
                # The metrics service may fail on its own; the job is not lost then.
                if state == PipelineState.DONE:
                    complain(f"embed-images: the job's counters are unknown: {one_line(e)}", level="warning")
            if not fetching and counters.get("images-fetched"):
                fetching = time.monotonic()
            progress.update()
    if state == PipelineState.CANCELLED:
        raise RunError("the job was cancelled")
    if state != PipelineState.DONE:
        raise RunError(f"the job ended as {state}: {_reason(runner, result.job_id()) or 'its log says why'}")
    for target in plan.targets:
        if read_manifest(target.output) is None:
            raise RunError(f"the job is done, but {target.output} has no manifest; its log says why")
    return RunStats(time.monotonic() - started, (fetching or started) - plan.settings.began, counters)


def _states(result: Any) -> Iterator[str]:
    """Yield the state of a job again and again, until it is final."""
    waits = iter(POLL_SECONDS)
    while True:
        state = result.state
        yield state
        if PipelineState.is_terminal(state):
            return
        time.sleep(next(waits, POLL_SECONDS[-1]))


def _reason(runner: Any, job_id: str) -> str:
    """Return why a job failed, in one line: its last error, a worker's own rather than the service's."""
    until = time.monotonic() + REASON_SECONDS
    while True:
        errors, page = [], None
        while page != "":
            messages, page = runner.dataflow_client.list_messages(
                job_id, page_token=page, minimum_importance="JOB_MESSAGE_ERROR"
            )
            errors += [message.message_text for message in messages]
        raised = [error for error in errors if "Traceback" in error] or errors
        if raised or time.monotonic() > until:
            return cause(raised[-1]) if raised else ""
        time.sleep(POLL_SECONDS[-2])
