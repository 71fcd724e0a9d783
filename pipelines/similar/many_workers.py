"""All pairs by a Beam pipeline: for more rows than a machine's memory, or to share the work among machines."""

import contextlib
import glob
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipelines.console.unexpected import unexpected
from pipelines.launch.beam_pipeline import empty_pipeline
from pipelines.launch.portable.launcher import JOB_SECONDS
from pipelines.launch.portable.services import find_services
from pipelines.options.flags import check_beam_flags
from pipelines.options.similar import Settings, parser
from pipelines.plan.runner import NamedRunner, Runner, named_runner
from pipelines.similar.collection import Collection
from transforms.collection.layout import new_run_id
from transforms.core.errors import Interrupted, RunError, UsageError
from transforms.measure.near_duplicates import NearDuplicates, blocks_of
from transforms.measure.pairs import Pair
from transforms.storage.files import delete, opened
from transforms.storage.paths import canonical_uri, matching_files, scheme_of


def pairs_by_beam(collection: Collection, above: float, settings: Settings, beam_args: Sequence[str]) -> Iterator[Pair]:
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
        raise UsageError("--runner DataflowRunner is for embed-images; here, leave it out, or name another runner")
    if runner.kind is Runner.PORTABLE and not settings.out:
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
    is_local = runner.kind is Runner.LOCAL
    # First, since the last of several counts.
    args = [*beam_args] if is_local else [f"--job_server_timeout={JOB_SECONDS}", *beam_args]
    try:
        with empty_pipeline(args, FnApiRunner() if is_local else None) as root:
            blocks = blocks_of(collection.files, collection.spec.dim)
            _ = (
                root
                | NearDuplicates(blocks, collection.read, above)
                | "ToLine" >> beam.Map(lambda pair: json.dumps(pair._asdict()))
                | beam.io.WriteToText(f"{folder}/pairs", ".jsonl")
            )
    except KeyboardInterrupt as e:
        raise Interrupted("similar-images: interrupted, nothing was written", leaves_threads=True) from e
    except Exception as e:
        raise RunError(unexpected("the pipeline failed", e, verbose=settings.verbose)) from e
