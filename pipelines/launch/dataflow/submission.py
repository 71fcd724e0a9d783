"""Submit a job to Dataflow, and follow it to its end.

The job does not need this process: interrupted, it runs on. What a failed or cancelled job has written is removed.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions
from apache_beam.runners.runner import PipelineState

from pipelines.console.progress import Progress
from pipelines.console.summary import exit_code, print_summary
from pipelines.launch.dataflow.job import DataflowJob
from pipelines.launch.local import RunFacts, cause, claim_outputs, discard_outputs, raise_when_interrupted, what_is_kept
from pipelines.plan.plan import Plan
from transforms.commit.commit import read_manifest
from transforms.core.counters import counted
from transforms.core.errors import RunError, UsageError, one_line
from transforms.storage.files import delete

POLL_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Between two looks at a job, the last for good."""

REASON_SECONDS = 30.0
"""For which a failed job may keep its reason to itself; Dataflow's messages come late."""


def run_on_dataflow(build: Callable[[Any], None], plan: Plan, job: DataflowJob, options: argparse.Namespace) -> int:
    """Submit a job, and follow it unless `options.no_wait`: the command's exit code.

    Raises:
      UsageError: something cannot work; nothing was submitted.
      RunError: the job could not be submitted, failed, or was cancelled.
    """
    try:
        pipeline = beam.Pipeline(options=job.options)
    except ValueError as e:
        raise UsageError(f"Dataflow does not take these flags: {one_line(e)}") from e
    check_staging(job, plan)
    claim_outputs(plan, local=False)
    started = time.monotonic()
    try:
        build(pipeline)
        result = pipeline.run()
    except KeyboardInterrupt:
        discard_outputs(plan)
        print("\ninterrupted while the job was submitted; the console shows whether it was", file=sys.stderr)
        return 130
    except Exception as e:
        if options.verbose:
            traceback.print_exc()
        kept = what_is_kept(discard_outputs(plan))
        raise RunError(f"the job was not submitted: {cause(str(e)) or type(e).__name__}; {kept}") from e
    if not result.has_job:
        print(f"template written to {job.options.view_as(GoogleCloudOptions).template_location}")
        return 0
    google = job.options.view_as(GoogleCloudOptions)
    where = f"--project {google.project} --region {google.region}"
    print(f"submitted job {result.job_id()}, named {google.job_name}", flush=True)
    print(f"  console   {console_address(google, result.job_id())}", flush=True)
    cancel = f"gcloud dataflow jobs cancel {result.job_id()} {where}"
    if options.no_wait:
        print(f"  cancel    {cancel}")
        return 0
    try:
        facts = follow(result, pipeline.runner, plan, started)
    except KeyboardInterrupt:
        print(f"\nno longer followed; the job runs on, to cancel it:\n  {cancel}", file=sys.stderr, flush=True)
        return 130
    print_summary(plan, facts)
    return exit_code(plan, options.max_failure_ratio)


def check_staging(job: DataflowJob, plan: Plan) -> None:
    """Put a small object where the job will be staged, and remove it: Beam would try for minutes.

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
    """Return where a person sees the job."""
    return f"https://console.cloud.google.com/dataflow/jobs/{google.region}/{job_id}?project={google.project}"


def follow(result: Any, runner: Any, plan: Plan, started: float) -> RunFacts:
    """Show a job's progress until it ends.

    Raises:
      RunError: it failed or was cancelled; what it wrote is gone.
      KeyboardInterrupt: the person went away, or the process was told to end.
    """
    raise_when_interrupted()
    counters: dict[str, int] = {}
    fetching = 0.0
    with Progress(len(plan.targets), lambda: counters) as progress:
        for state in _states(result):
            try:
                counters.update(counted(result))
            except Exception as e:
                # The metrics' service has its own troubles; a job is not lost with them.
                if state == PipelineState.DONE:
                    print(f"embed-images: the job's counters are unknown: {one_line(e)}", file=sys.stderr)
            if not fetching and counters.get("images-fetched"):
                fetching = time.monotonic()
            progress.update()
    if state != PipelineState.DONE:
        kept = what_is_kept(discard_outputs(plan))
        if state == PipelineState.CANCELLED:
            raise RunError(f"the job was cancelled; {kept}")
        reason = _reason(runner, result.job_id())
        raise RunError(f"the job ended as {state}: {reason or 'its log says why'}; {kept}")
    for target in plan.targets:
        if read_manifest(target.output) is None:
            raise RunError(f"the job is done, but {target.output} has no manifest; its log says why")
    return RunFacts(time.monotonic() - started, (fetching or started) - plan.began, counters)


def _states(result: Any) -> Iterator[str]:
    """Give a job's state again and again, until it is one that it stays in."""
    waits = iter(POLL_SECONDS)
    while True:
        state = result.state
        yield state
        if PipelineState.is_terminal(state):
            return
        time.sleep(next(waits, POLL_SECONDS[-1]))


def _reason(runner: Any, job_id: str) -> str:
    """Return why a job failed, in one line: the last of its errors, a worker's own before the service's."""
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
