"""All pairs by a Beam pipeline: for more rows than a machine's memory, or to share the work among machines."""

import contextlib
import glob
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions

from pipelines.console.progress import LiveLine
from pipelines.console.unexpected import unexpected
from pipelines.launch.beam_pipeline import BeamOptions, empty_pipeline
from pipelines.launch.dataflow.contradictions import check_google
from pipelines.launch.dataflow.job import ship_source
from pipelines.launch.local_runner import LocalRunner
from pipelines.launch.portable.launcher import LOOK_SECONDS, cancel, portable_pipeline
from pipelines.launch.portable.services import find_services
from pipelines.options.command_line import check_beam_flags
from pipelines.options.commands.similar import Settings, parser
from pipelines.plan.runner import NamedRunner, Runner, named_runner
from pipelines.similar.collection import Collection
from transforms.collection.layout import new_run_id
from transforms.core.errors import Interrupted, RunError, UsageError, one_line
from transforms.measure.near_duplicates import NearDuplicates, blocks_of
from transforms.measure.pairs import Pair
from transforms.storage.files import delete, opened
from transforms.storage.paths import canonical_uri, matching_files, scheme_of


def pairs_by_beam(
    collection: Collection, above: float, settings: Settings, beam_args: Sequence[str]
) -> Generator[Pair]:
    """Find all pairs on the runner that Beam's flags name: its workers write them to files, which are read here.

    Raises:
      UsageError: something cannot work; nothing was begun.
      RunError: the pipeline failed.
      Interrupted: a signal ended it.
    """
    runner = _checked(beam_args, settings)
    with _scratch(settings.out) as folder:
        _run(collection, above, settings, beam_args, runner, folder)
        for file in matching_files(f"{glob.escape(folder)}/pairs*.jsonl"):
            with opened(file.path) as f:
                for line in f:
                    yield Pair(**json.loads(line))


def _checked(beam_args: Sequence[str], settings: Settings) -> NamedRunner:
    runner = named_runner(beam_args)
    if runner.kind is Runner.DATAFLOW:
        for flag, path in (("embeddings", settings.embeddings), ("out", settings.out)):
            if scheme_of(path) != "gs":
                raise UsageError(
                    f"--runner {runner.name} needs an --{flag} in Cloud Storage, gs://..., as its workers do"
                )
    if runner.kind is not Runner.LOCAL and not settings.out:
        raise UsageError(f"--runner {runner.name} needs --out, beside which its workers write what they find")
    known = find_services(runner.name, beam_args).flags if runner.kind is Runner.PORTABLE else frozenset()
    check_beam_flags(list(beam_args), known, parser)
    return runner


@contextlib.contextmanager
def _scratch(out: str) -> Iterator[str]:
    """Yield a folder for the workers' files: beside the result, where all see it; it goes when the block ends."""
    if not out:
        with tempfile.TemporaryDirectory() as folder:
            yield folder
        return
    folder = f"{canonical_uri(out)}.pairs-{new_run_id()}"
    try:
        yield folder
    finally:
        if scheme_of(folder):
            delete([file.path for file in matching_files(f"{glob.escape(folder)}/**")])
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _run(
    collection: Collection,
    above: float,
    settings: Settings,
    beam_args: Sequence[str],
    runner: NamedRunner,
    folder: str,
) -> None:
    pipeline = _pipeline(runner, beam_args)
    results: list[Any] = []

    def submit() -> None:
        results.append(pipeline.run())

    try:
        blocks = blocks_of(collection.files, collection.spec.dim)
        _ = (
            pipeline
            | NearDuplicates(blocks, collection.read, above)
            | "ToLine" >> beam.Map(lambda pair: json.dumps(pair._asdict()))
            | beam.io.WriteToText(f"{folder}/pairs", ".jsonl")
        )
        if runner.kind is Runner.LOCAL:
            _in_a_thread(submit)
        else:
            # Here: a Prism that Beam starts comes with handlers of signals, which only this thread can have.
            submit()
        _in_a_thread(lambda: results[0].wait_until_finish())
    except KeyboardInterrupt as e:
        raise Interrupted(_interrupted(results), leaves_threads=True) from e
    except Exception as e:
        raise RunError(unexpected("the pipeline failed", e, verbose=settings.is_verbose)) from e


def _pipeline(runner: NamedRunner, beam_args: Sequence[str]) -> beam.Pipeline:
    if runner.kind is Runner.LOCAL:
        return empty_pipeline(beam_args, LocalRunner())
    if runner.kind is Runner.PORTABLE:
        return portable_pipeline(beam_args)
    options = BeamOptions(list(beam_args))
    check_google(options)
    ship_source(options)
    google = options.view_as(GoogleCloudOptions)
    google.job_name = google.job_name or f"similar-images-{new_run_id().lower()}"
    return beam.Pipeline(options=options)


def _in_a_thread(work: Callable[[], object]) -> None:
    """Do some work while this thread waits: in its own, Beam would take an interrupt for a failure of the work."""
    failed: list[BaseException] = []

    def attempt() -> None:
        try:
            work()
        except BaseException as e:
            failed.append(e)

    thread = threading.Thread(target=attempt, name="pipeline", daemon=True)
    thread.start()
    with LiveLine() as line:
        while thread.is_alive():
            thread.join(LOOK_SECONDS)
            line.show(f"the pipeline has run for {time.monotonic() - line.started:.0f} s")
    if failed:
        raise failed[0]


def _interrupted(results: list[Any]) -> str:
    """End a job that runs elsewhere, since nobody would read what it finds; say what became of it."""
    said = "similar-images: interrupted, nothing was written"
    try:
        for result in results:
            cancel(result)
    except Exception as e:
        said += f"; its job may run on: {one_line(e)}"
    return said
