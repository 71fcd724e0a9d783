"""A run's claim on its outputs, and the one way in which runs end.

However a run ends, nothing half-written stays, unless its job runs on elsewhere.
"""

import contextlib
import dataclasses
import shlex
import signal
import threading
import traceback
from collections.abc import Iterator

from pipelines.plan.plan import Plan
from pipelines.plan.runner import Runner
from transforms.collection.manifest import read_manifest
from transforms.commit.claims import abandon, claim, discard
from transforms.core.errors import Interrupted, RunError, UsageError, one_line
from transforms.storage.gcs import install_hint

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Signals that end a run."""


@dataclasses.dataclass
class Claim:
    """What a run says when it ends early; a launcher changes it as the run proceeds.

    Attributes:
      failed: start of the message about an exception.
      interrupted: start of the message about a signal.
      runs_on: the message about a signal once the job no longer needs this process; '' before.
      leaves_threads: whether the run has threads that only the end of the process stops.
    """

    failed: str = "the run failed"
    interrupted: str = "interrupted"
    runs_on: str = ""
    leaves_threads: bool = False


@contextlib.contextmanager
def claimed(plan: Plan, held: Claim) -> Iterator[None]:
    """Claim the outputs of a run; if the block raises, remove what the run wrote, and say so.

    Raises:
      UsageError: an output cannot be written to, or the block raised it.
      RunError: the block raised anything else.
      Interrupted: a signal came.
    """
    raise_when_interrupted()
    try:
        claim_outputs(plan)
        yield
    except KeyboardInterrupt as e:
        if held.runs_on:
            raise Interrupted(held.runs_on) from e
        ignore_signals()
        again = shlex.join(["embed-images", *plan.settings.command_line])
        message = f"{held.interrupted}, {what_is_kept(discard_outputs(plan))}; to start again:\n  {again}"
        raise Interrupted(message, leaves_threads=held.leaves_threads) from e
    except UsageError:
        discard_outputs(plan)
        raise
    except RunError as e:
        # A RunError says that the run has ended: nothing runs on.
        raise RunError(f"{e}; {what_is_kept(discard_outputs(plan))}") from e
    except Exception as e:
        if plan.settings.verbose:
            traceback.print_exc()
        # Last, since it may end with a command to copy.
        left = held.runs_on or what_is_kept(discard_outputs(plan))
        why = cause(str(e)) or type(e).__name__
        raise RunError(f"{held.failed}: {why}; --verbose shows more; {left}") from e


def claim_outputs(plan: Plan) -> None:
    """Claim the folders that a run writes to.

    Raises:
      UsageError: one cannot be written to.
    """
    for target in plan.targets:
        try:
            claim(target.output, plan.run_id, local=plan.where.runner is Runner.LOCAL)
        except Exception as e:
            raise UsageError(
                f"cannot write to --output {target.output}: {one_line(e)}{install_hint(target.output)}"
            ) from e


def discard_outputs(plan: Plan) -> list[str]:
    """Remove what a run wrote, unless its manifest is written; return what could not be removed, a line per folder."""
    abandon(plan.run_id)
    left = []
    for target in plan.targets:
        # The storage that failed the run may fail this as well, which must not hide why the run failed.
        try:
            manifest = read_manifest(target.output)
            if not manifest or manifest["run_id"] != plan.run_id:
                discard(target.output, plan.run_id)
        except Exception as e:
            left.append(f"what it wrote to {target.output} cannot be removed: {one_line(e)}")
    return left


def what_is_kept(left: list[str]) -> str:
    """Return what `discard_outputs` left, in words."""
    return "; ".join(left) or "nothing half-written was kept"


def raise_when_interrupted() -> None:
    """Make SIGNALS raise KeyboardInterrupt, whatever handler a library installed; ignored signals stay ignored."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)


def ignore_signals() -> None:
    """Ignore SIGNALS while a run is cleaned up."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def cause(message: str) -> str:
    """Return the last line of a message, in which a traceback names its cause; '' if there is none."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return one_line(Exception(lines[-1])) if lines else ""
