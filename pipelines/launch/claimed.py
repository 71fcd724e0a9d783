"""A run's claim on its outputs, and the one way in which runs end.

However a run ends, nothing half-written stays, unless its job runs on elsewhere; and what is committed stands.
"""

import contextlib
import dataclasses
import re
import shlex
import traceback
from collections.abc import Callable, Iterator

from pipelines.console.interrupts import ignore_signals, raise_when_interrupted
from pipelines.console.lines import complain
from pipelines.plan.plan import Plan
from pipelines.plan.runner import Runner
from transforms.commit.claims import claim, discard, renewed
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
        end = end_early(plan, held)
        if not say_if_committed(end, held.interrupted):
            again = printable(shlex.join(["embed-images", *plan.settings.command_line]))
            message = f"{held.interrupted}, {end}; to start again:\n  {again}"
            raise Interrupted(message, leaves_threads=held.leaves_threads) from e
    except UsageError:
        discard_outputs(plan)
        raise
    except RunError as e:
        # A RunError says that the run has ended: nothing runs on.
        end, why = discard_outputs(plan), printable(_STEP.sub("", str(e)))
        if not say_if_committed(end, why):
            raise RunError(f"{why}; {end}") from e
    except Exception as e:
        if plan.settings.verbose:
            complain(*traceback.format_exc().splitlines())
        why = f"{held.failed}: {cause(str(e)) or type(e).__name__}; --verbose shows more"
        if held.runs_on:
            # Last, since it ends with a command to copy.
            raise RunError(f"{why}; {held.runs_on}") from e
        end = end_early(plan, held)
        if not say_if_committed(end, why):
            raise RunError(f"{why}; {end}") from e
    # What is left to do takes a moment, and the exit code must say that the run stands.
    ignore_signals()


def _is_here(plan: Plan) -> bool:
    return plan.where.runner is Runner.LOCAL


@dataclasses.dataclass(frozen=True)
class End:
    """What became of the outputs of a run that ended early.

    Attributes:
      committed: outputs whose manifest is this run's, which stand.
      left: what could not be ended or removed, in words.
      whole: whether all outputs are committed.
    """

    committed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    whole: bool = False

    def __str__(self) -> str:
        stands = [f"{', '.join(self.committed)} is committed and stands"] if self.committed else []
        nothing = "nothing else was kept" if self.committed else "nothing half-written was kept"
        return "; ".join([*stands, *(self.left or [nothing])])


def end_early(plan: Plan, held: Claim) -> End:
    """End a run's job, wherever it runs, then remove what it wrote."""
    try:
        if held.cancel:
            held.cancel()
        return discard_outputs(plan)
    except Exception as e:
        left = f"its job may run on, but will not be committed ({one_line(e)})"
        end = discard_outputs(plan)
        return dataclasses.replace(end, left=(left, *end.left))


def say_if_committed(end: End, why: str) -> bool:
    """Whether a run had succeeded before it ended; if so, print why it ended."""
    if end.whole:
        complain(f"embed-images: the run was committed, and stands; after it: {why}")
    return end.whole


def claim_outputs(plan: Plan) -> None:
    """Claim the folders that a run writes to.

    Raises:
      UsageError: one cannot be written to.
    """
    for target in plan.targets:
        try:
            claim(target.output, plan.run_id, local=_is_here(plan))
        except Exception as e:
            raise UsageError(
                f"cannot write to --output {target.output}: {one_line(e)}{install_hint(target.output)}"
            ) from e


def discard_outputs(plan: Plan) -> End:
    """Remove what a run wrote, unless it is committed, and keep it from being committed."""
    committed, left = [], []
    for target in plan.targets:
        # The storage that failed the run may fail this as well, which must not hide why the run failed.
        try:
            if discard(target.output, plan.run_id):
                committed.append(target.output)
        except Exception as e:
            left.append(f"what it wrote to {target.output} cannot be removed: {one_line(e)}")
    return End(tuple(committed), tuple(left), whole=len(committed) == len(plan.targets))


def cause(message: str) -> str:
    """Return the last line of a message, in which a traceback names its cause; '' if there is none."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return one_line(Exception(lines[-1])) if lines else ""
