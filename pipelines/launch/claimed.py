"""A run's claim on its outputs, and the one way in which runs end.

However a run ends, nothing half-written stays, unless its job runs on elsewhere; and what is committed stands.
"""

import collections
import contextlib
import dataclasses
import re
import shlex
from collections.abc import Callable, Iterator

from pipelines.console.interrupts import ignore_signals, raise_when_interrupted
from pipelines.console.lines import complain
from pipelines.console.unexpected import unexpected
from pipelines.plan.plan import Plan
from pipelines.plan.runner import Runner
from transforms.collection.manifest import committed_run
from transforms.commit.claims import claim, renewed
from transforms.commit.leftovers import Ended, end
from transforms.core.errors import Interrupted, RunError, UsageError, one_line
from transforms.core.printable import printable
from transforms.storage.gcs import install_hint

_STEP = re.compile(r" \[while running '.*'\]$")
"""What Beam adds to the message of an exception: the step's name, which only its makers know."""


@dataclasses.dataclass
class Claim:
    """What a run says and does when it ends early; a launcher changes it as the run proceeds.

    Attributes:
      failed: start of the message about an exception.
      interrupted: start of the message about a signal.
      runs_on: the message about a signal once the job no longer needs this process; '' before.
      cancel: function that ends a job that runs elsewhere; an exception says that it may run on.
      leaves_threads: whether the run has threads that only the end of the process stops.
    """

    failed: str = "the run failed"
    interrupted: str = "interrupted"
    runs_on: str = ""
    cancel: Callable[[], None] | None = None
    leaves_threads: bool = False


@contextlib.contextmanager
def claimed(plan: Plan, held: Claim) -> Iterator[None]:
    """Claim the outputs of a run; if the block raises, remove what the run wrote, and say so.

    What is raised once all outputs are committed is printed, and ends only the block: the run has succeeded.

    Raises:
      UsageError: an output cannot be written to, or the block raised it.
      RunError: the block raised anything else.
      Interrupted: a signal came.
    """
    raise_when_interrupted()
    try:
        claim_outputs(plan)
        with renewed([target.output for target in plan.targets if _is_here(plan)], plan.run_id):
            yield
    except KeyboardInterrupt as e:
        if held.runs_on:
            raise Interrupted(held.runs_on) from e
        ignore_signals()
        ended = end_early(plan, held)
        if not say_if_committed(ended, held.interrupted):
            update = ["--existing=update"] if ended.needs_update else []
            again = printable(shlex.join(["embed-images", *plan.settings.command_line, *update]))
            message = f"{held.interrupted}, {ended}; to {'go on' if ended.has_parts else 'start again'}:\n  {again}"
            raise Interrupted(message, leaves_threads=held.leaves_threads) from e
    except UsageError:
        end_outputs(plan)
        raise
    except RunError as e:
        # A RunError says that the run has ended: nothing runs on.
        ended, why = end_outputs(plan), replaced_meanwhile(plan) or printable(_STEP.sub("", str(e)))
        if not say_if_committed(ended, why):
            raise RunError(f"{why}; {ended}") from e
    except Exception as e:
        why = replaced_meanwhile(plan) or unexpected(held.failed, e, verbose=plan.settings.is_verbose)
        if held.runs_on:
            # Last, since it ends with a command to copy.
            raise RunError(f"{why}; {held.runs_on}") from e
        ended = end_early(plan, held)
        if not say_if_committed(ended, why):
            raise RunError(f"{why}; {ended}") from e
    # What is left to do takes a moment, and the exit code must say that the run stands.
    ignore_signals()


def _is_here(plan: Plan) -> bool:
    return plan.where.runner is Runner.LOCAL


def replaced_meanwhile(plan: Plan) -> str:
    """Say which run has changed a collection since this one began, and so removed files under it; '' if none has."""
    for target in plan.targets:
        before = target.standing.manifest
        with contextlib.suppress(Exception):
            run_id = committed_run(target.output)
            if before and run_id not in (before["run_id"], plan.run_id):
                return f"run {run_id} was committed to {target.output} meanwhile, and stands"
    return ""


@dataclasses.dataclass(frozen=True)
class End:
    """What became of the outputs of a run that ended early.

    Attributes:
      committed: outputs whose manifest is this run's, which stand.
      left: what could not be ended or removed, in words.
      whole: whether all outputs are committed.
      has_parts: whether finished parts were kept, from which the same command goes on.
      needs_update: whether it does so only with --existing update, since another output stands, which it refuses.
    """

    committed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    whole: bool = False
    has_parts: bool = False
    needs_update: bool = False

    def __str__(self) -> str:
        stands = [f"{', '.join(self.committed)} is committed and stands"] if self.committed else []
        nothing = "nothing else was kept" if self.committed else "nothing half-written was kept"
        command = "the same command with --existing update" if self.needs_update else "the same command"
        kept = f"what it finished is kept, and {command} goes on from there" if self.has_parts else nothing
        return "; ".join([*stands, *(self.left or [kept])])


def end_early(plan: Plan, held: Claim) -> End:
    """End a run's job, wherever it runs, then remove what it wrote."""
    try:
        if held.cancel:
            held.cancel()
        return end_outputs(plan)
    except Exception as e:
        left = f"its job may run on, but will not be committed ({one_line(e)})"
        ended = end_outputs(plan)
        return dataclasses.replace(ended, left=(left, *ended.left))


def say_if_committed(ended: End, why: str) -> bool:
    """Whether a run had succeeded before it ended; if so, print why it ended."""
    if ended.whole:
        complain(f"embed-images: the run was committed, and stands; after it: {why}", level="warning")
    return ended.whole


def claim_outputs(plan: Plan) -> None:
    """Claim the folders that a run writes to.

    Raises:
      UsageError: one cannot be written to.
    """
    for target in plan.targets:
        try:
            claim(target.output, plan.run_id, _is_here(plan), target.spec.fingerprint)
        except Exception as e:
            raise UsageError(
                f"cannot write to --output {target.output}: {one_line(e)}{install_hint(target.output)}"
            ) from e


def can_go_on(plan: Plan, output: str) -> bool:
    """Whether the same command would take over what its run has finished."""
    existing = plan.settings.existing
    return existing == "update" or (existing == "refuse" and not committed_run(output))


def end_outputs(plan: Plan) -> End:
    """End a run, unless it is committed: from then on it cannot be, and only its finished parts stay."""
    found: dict[Ended, list[str]] = collections.defaultdict(list)
    left = []
    for target in plan.targets:
        # The storage that failed the run may fail this as well, which must not hide why the run failed.
        try:
            found[end(target.output, plan.run_id, can_go_on(plan, target.output))].append(target.output)
        except Exception as e:
            left.append(f"what it wrote to {target.output} cannot be removed: {one_line(e)}")
    committed, has_parts = tuple(found[Ended.COMMITTED]), bool(found[Ended.WITH_PARTS])
    needs_update = has_parts and any(not can_go_on(plan, output) for output in committed)
    return End(committed, tuple(left), len(committed) == len(plan.targets), has_parts, needs_update)
