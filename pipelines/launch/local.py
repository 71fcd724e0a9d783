"""Run a pipeline to its end: on this machine, or on the runner that Beam's flags name; Dataflow has `submission`.

A local run never lets Beam look for another runner to download. It can be stopped at any moment, and then leaves
nothing behind.
"""

import collections
import dataclasses
import functools
import os
import shlex
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipelines.console.progress import Progress
from pipelines.plan.plan import Plan
from transforms.backbones import load_backbone
from transforms.backbones.kept import prebuild as ahead
from transforms.commit.claims import abandon, claim, discard
from transforms.commit.commit import read_manifest
from transforms.core.counters import counted, reset_tally, tally, when_counted
from transforms.core.errors import RunError, UsageError, one_line
from transforms.read.uris import install_hint

LOCAL_RUNNERS = (None, "DirectRunner", "FnApiRunner", "BundleBasedDirectRunner")


class _Options(PipelineOptions):  # type: ignore[misc]
    """Beam's options, each view of which parses the command line once: Beam takes several at each step of building."""

    view_as = functools.cache(PipelineOptions.view_as)


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """What only the running process knows: the seconds of the pipeline and before its first image, and its counters.

    A pipeline on this machine decodes its first images while backbones are loaded; that is counted as its start.
    """

    seconds: float
    start_seconds: float
    counters: dict[str, int]


def run_to_end(build: Callable[[Any], None], plan: Plan, beam_args: list[str], verbose: bool) -> RunFacts:
    """Build the pipeline and run it until its results stand.

    Raises:
      UsageError: the output cannot be written to, or a backbone cannot be loaded.
      RunError: the run failed; what it wrote is gone.
    """
    options = _Options(beam_args)
    local = options.view_as(StandardOptions).runner in LOCAL_RUNNERS
    raise_when_interrupted()
    claim_outputs(plan, local)
    reset_tally()
    try:
        pipeline = beam.Pipeline(runner=FnApiRunner() if local else None, options=options)
        build(pipeline)
        if local:
            result, ready = _watch(pipeline, plan)
        else:
            ready = time.monotonic()
            result = pipeline.run()
            result.wait_until_finish()
    except KeyboardInterrupt:
        _interrupted(plan)
    except UsageError:
        discard_outputs(plan)
        raise
    except Exception as e:
        if verbose:
            traceback.print_exc()
        kept = what_is_kept(discard_outputs(plan))
        raise RunError(f"the run failed: {cause(str(e)) or type(e).__name__}; {kept}; --verbose shows more") from e
    first, _ = when_counted("images-fetched") or (ready, ready)
    start_seconds = max(first, ready) - plan.began
    # What this process has counted, and what workers have told the runner.
    counters = collections.Counter(tally()) | collections.Counter(counted(result))
    return RunFacts(time.monotonic() - ready, start_seconds, dict(counters))


def claim_outputs(plan: Plan, local: bool) -> None:
    """Claim the folders that a run writes to.

    Raises:
      UsageError: one cannot be written to.
    """
    for target in plan.targets:
        try:
            claim(target.output, plan.run_id, local)
        except Exception as e:
            raise UsageError(
                f"cannot write to --output {target.output}: {one_line(e)}{install_hint(target.output)}"
            ) from e


def _watch(pipeline: beam.Pipeline, plan: Plan) -> tuple[Any, float]:
    """Run a pipeline in a thread, and load its backbones here: its result, and when they were, by time.monotonic()."""
    results: list[Any] = []
    failed: list[BaseException] = []
    unloadable: list[Exception] = []

    def work() -> None:
        try:
            results.append(pipeline.run())
            results[0].wait_until_finish()
        except BaseException as e:
            failed.append(e)

    thread = threading.Thread(target=work, name="pipeline", daemon=True)
    thread.start()
    with Progress(len(plan.targets)) as progress:
        # Its first images are decoded meanwhile. What cannot be loaded fails it, too, but in Beam's words.
        try:
            for target in plan.targets:
                load_backbone(target.backbone)
        except Exception as e:
            unloadable.append(e)
        ready = time.monotonic()
        while thread.is_alive():
            thread.join(0.25)
            progress.update()
    if failed:
        raise (unloadable or failed)[0]
    return results[0], ready


def raise_when_interrupted() -> None:
    """Let Ctrl-C and SIGTERM raise KeyboardInterrupt, whatever handler a library has left; what is ignored stays so."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)


def discard_outputs(plan: Plan) -> list[str]:
    """Remove what a run has written, unless its manifest stands; return why each folder that has more of it has."""
    abandon(plan.run_id)
    left = []
    for target in plan.targets:
        # The storage that failed the run may fail this, too, which must not hide why the run failed.
        try:
            manifest = read_manifest(target.output)
            if not manifest or manifest["run_id"] != plan.run_id:
                discard(target.output, plan.run_id)
        except Exception as e:
            left.append(f"what it wrote to {target.output} cannot be removed: {one_line(e)}")
    return left


def what_is_kept(left: list[str]) -> str:
    """Say what `discard_outputs` left."""
    return "; ".join(left) or "nothing half-written was kept"


def _interrupted(plan: Plan) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    kept = what_is_kept(discard_outputs(plan))
    again = shlex.join(["embed-images", *plan.command_line])
    print(f"\ninterrupted, {kept}; to start again:\n  {again}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    ahead.end()
    # The pipeline's threads cannot be stopped; they end with the process.
    os._exit(130)


def cause(message: str) -> str:
    """Return the last line of a message, which is where a traceback has its cause; '' where it has none."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return one_line(Exception(lines[-1])) if lines else ""
