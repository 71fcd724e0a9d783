"""How runs end: what is removed, what stays, and the one line that says so."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shlex
import signal
import threading
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pytest

from pipelines.command import main
from pipelines.console.interrupts import SIGNALS, ignore_signals, raise_when_interrupted
from pipelines.launch.claimed import Claim, End, claim_outputs, claimed, end_outputs
from pipelines.options.settings import Settings
from pipelines.plan.plan import Plan, make_plan
from pipelines.plan.runner import Runner, Where
from tests.pipelines.conftest import LIGHT, files_in, settings_of
from transforms.commit.leftovers import Ended, end
from transforms.core.errors import Interrupted, RunError, UsageError

TWO = ["--backbone=MobileNet,MobileNetV2"]
RUNS_ON = "no longer followed; the job runs on, to cancel it:\n  cancel a-job"


@pytest.fixture
def plan(photos: pathlib.Path, tmp_path: pathlib.Path) -> Plan:
    """The plan of a run with two outputs, which keeps nothing that it has not committed."""
    return make_plan(settings_of(photos, tmp_path / "out", *TWO, "--existing=replace"), Where())


@pytest.fixture
def keeping(photos: pathlib.Path, tmp_path: pathlib.Path) -> Plan:
    """The plan of a run with two outputs, which keeps its finished parts."""
    return make_plan(settings_of(photos, tmp_path / "out", *TWO), Where())


def verbose(plan: Plan) -> Plan:
    return dataclasses.replace(plan, settings=dataclasses.replace(plan.settings, log_level="debug"))


def folder(plan: Plan) -> pathlib.Path:
    return pathlib.Path(plan.settings.output)


def shard(plan: Plan, index: int, run: str = "") -> pathlib.Path:
    return pathlib.Path(
        plan.targets[index].output, "parquet", f"embeddings-{run or plan.run_id}-00000-of-00001.parquet"
    )


def write_some(plan: Plan) -> None:
    """Write what a run has written when it is nearly done."""
    for index, target in enumerate(plan.targets):
        shard(plan, index).parent.mkdir(parents=True, exist_ok=True)
        shard(plan, index).write_text("whole")
        pathlib.Path(target.output, f".run-{plan.run_id}", "part.parquet").write_text("a part")


def fail(raised: BaseException) -> None:
    raise raised


def ended(plan: Plan, held: Claim, last: Callable[[], Any]) -> BaseException:
    """Return what a run raises that has written something when it ends so."""
    with contextlib.ExitStack() as caught:
        failure = caught.enter_context(pytest.raises((Exception, KeyboardInterrupt)))
        with claimed(plan, held):
            write_some(plan)
            last()
    return failure.value


def test_a_claim_stands_while_the_block_runs_and_a_run_that_ends_well_keeps_all(plan: Plan) -> None:
    with claimed(plan, Claim()):
        owners = [pathlib.Path(target.output, f".run-{plan.run_id}", "owner.json") for target in plan.targets]
        assert [json.loads(path.read_text())["pid"] for path in owners] == [os.getpid()] * 2
        write_some(plan)
        before = files_in(folder(plan))
    assert files_in(folder(plan)) == before
    assert len(before) == 6


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (UsageError("the graph is broken; delete it"), UsageError, "the graph is broken; delete it"),
        (RunError("the job was cancelled"), RunError, "the job was cancelled; nothing half-written was kept"),
        (
            RunError("it computes otherwise: [x] [while running 'MobileNet/Embed/ParDo(ThreadMap)']"),
            RunError,
            "it computes otherwise: [x]; nothing half-written was kept",
        ),
        (
            RuntimeError("line one\nthe disk is on fire\n\n"),
            RunError,
            "the run failed: the disk is on fire; --log_level debug shows more; nothing half-written was kept",
        ),
        (
            MemoryError(),
            RunError,
            "the run failed: MemoryError; --log_level debug shows more; nothing half-written was kept",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_whatever_the_block_raises_is_one_line_and_nothing_stays(
    raised: Exception, kind: type, message: str, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = ended(plan, Claim(), lambda: fail(raised))
    assert type(failure) is kind
    assert str(failure) == message
    assert failure is raised or failure.__cause__ is raised
    assert not any(pathlib.Path(target.output).exists() and files_in(target.output) for target in plan.targets)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("leaves_threads", [False, True])
def test_an_interrupted_run_keeps_nothing_and_says_how_to_start_again(leaves_threads: bool, plan: Plan) -> None:
    failure = ended(plan, Claim(leaves_threads=leaves_threads), lambda: fail(KeyboardInterrupt()))
    assert isinstance(failure, Interrupted)
    line, again = str(failure).split("\n")
    assert line == "interrupted, nothing half-written was kept; to start again:"
    assert shlex.split(again) == ["embed-images", *plan.settings.command_line]
    assert failure.leaves_threads is leaves_threads
    assert files_in(folder(plan)) == []


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (
            KeyboardInterrupt(),
            "interrupted, what it finished is kept, and the same command goes on from there; to go on:",
        ),
        (OSError("no room"), "; what it finished is kept, and the same command goes on from there"),
        (RunError("the job ended as FAILED"), "; what it finished is kept, and the same command goes on from there"),
    ],
    ids=["KeyboardInterrupt", "OSError", "RunError"],
)
def test_finished_parts_are_kept_with_a_claim_that_says_that_the_run_has_ended(
    raised: BaseException, says: str, keeping: Plan
) -> None:
    failure = ended(keeping, Claim(), lambda: fail(raised))
    assert says in str(failure).split("\n")[0]
    for index, target in enumerate(keeping.targets):
        scratch = pathlib.Path(target.output, f".run-{keeping.run_id}")
        assert sorted(path.name for path in scratch.iterdir()) == ["owner.json", "part.parquet"]
        assert json.loads((scratch / "owner.json").read_text()) == {
            "ended": True,
            "fingerprint": target.spec.fingerprint,
        }
        assert not shard(keeping, index).exists()


def test_the_claims_own_words_begin_its_messages(plan: Plan) -> None:
    held = Claim(failed="the job was not submitted", interrupted="interrupted while it was submitted")
    assert str(ended(plan, held, lambda: fail(ValueError("no quota")))).startswith(
        "the job was not submitted: no quota;"
    )
    assert str(ended(plan, held, lambda: fail(KeyboardInterrupt()))).startswith("interrupted while it was submitted, ")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_a_run(number: signal.Signals, plan: Plan) -> None:
    # As a library that has its own idea of the signal.
    signal.signal(number, lambda *_: None)
    assert isinstance(ended(plan, Claim(), lambda: os.kill(os.getpid(), number)), Interrupted)
    assert files_in(folder(plan)) == []


def test_a_second_signal_does_not_keep_a_run_from_being_cleaned_up(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.launch import claimed as module

    sent = []

    def impatient(output: str, run_id: str, keep_parts: bool) -> Ended:
        for number in SIGNALS:
            os.kill(os.getpid(), number)
            sent.append(number)
        return end(output, run_id, keep_parts)

    monkeypatch.setattr(module, "end", impatient)
    assert isinstance(ended(plan, Claim(), lambda: fail(KeyboardInterrupt())), Interrupted)
    assert sent == [*SIGNALS, *SIGNALS]
    assert files_in(folder(plan)) == []


class Job:
    """A block that submits a job and then ends in some way."""

    def __init__(self, raised: BaseException):
        self.held, self.raised = Claim(), raised

    def __call__(self) -> None:
        self.held.runs_on, self.held.failed = RUNS_ON, "the job cannot be followed"
        raise self.raised


def test_an_interrupt_once_the_job_runs_elsewhere_keeps_all(plan: Plan) -> None:
    job = Job(KeyboardInterrupt())
    failure = ended(plan, job.held, job)
    assert isinstance(failure, Interrupted)
    assert (str(failure), failure.leaves_threads) == (RUNS_ON, False)
    assert len(files_in(folder(plan))) == 6


def test_an_unexpected_error_once_the_job_runs_elsewhere_keeps_all_and_ends_with_the_command(plan: Plan) -> None:
    job = Job(ConnectionError("no route"))
    failure = ended(plan, job.held, job)
    assert isinstance(failure, RunError)
    assert str(failure) == f"the job cannot be followed: no route; --log_level debug shows more; {RUNS_ON}"
    assert len(files_in(folder(plan))) == 6


@pytest.mark.parametrize("raised", [RunError("the job was cancelled"), UsageError("it cannot work")])
def test_where_the_block_says_that_the_job_has_ended_nothing_stays(raised: Exception, plan: Plan) -> None:
    job = Job(raised)
    assert str(ended(plan, job.held, job)).startswith(str(raised))
    assert files_in(folder(plan)) == []


@pytest.mark.parametrize(
    ("raised", "begins"),
    [
        (RunError("the job was cancelled"), "the job was cancelled; what it wrote to "),
        (
            OSError("the storage is gone"),
            "the run failed: the storage is gone; --log_level debug shows more; what it wrote to ",
        ),
        (KeyboardInterrupt(), "interrupted, what it wrote to "),
    ],
    ids=["RunError", "OSError", "KeyboardInterrupt"],
)
def test_what_cannot_be_removed_is_named_and_hides_neither_the_reason_nor_the_other_folders(
    raised: BaseException, begins: str, plan: Plan
) -> None:
    broken, other = (pathlib.Path(target.output) for target in plan.targets)

    def break_and_fail() -> None:
        # What the clean-up looks at first cannot be read.
        (broken / "manifest.json").mkdir()
        raise raised

    failure = ended(plan, Claim(), break_and_fail)
    line, *again = str(failure).split("\n")
    assert line.startswith(f"{begins}{broken} cannot be removed: ")
    assert len(again) == isinstance(raised, KeyboardInterrupt)
    assert "nothing half-written" not in line
    assert str(other) not in line
    assert shard(plan, 0).exists()
    assert files_in(other) == []


def test_a_clean_up_that_fails_leaves_a_usage_error_in_its_own_words(plan: Plan) -> None:
    def break_and_fail() -> None:
        (pathlib.Path(plan.targets[0].output) / "manifest.json").mkdir()
        raise UsageError("the graph is broken; delete it")

    assert str(ended(plan, Claim(), break_and_fail)) == "the graph is broken; delete it"


def commit(plan: Plan, index: int) -> None:
    """Put the manifest of one of a run's outputs."""
    (pathlib.Path(plan.targets[index].output) / "manifest.json").write_text(json.dumps({"run_id": plan.run_id}))


def test_what_is_committed_stays_when_another_backbone_fails_and_is_named(plan: Plan) -> None:
    def commit_one_and_fail() -> None:
        commit(plan, 0)
        raise RuntimeError("no room")

    failure = ended(plan, Claim(), commit_one_and_fail)
    assert isinstance(failure, RunError)
    assert str(failure).endswith(f"; {plan.targets[0].output} is committed and stands; nothing else was kept")
    assert shard(plan, 0).read_text() == "whole"
    assert files_in(plan.targets[1].output) == []


@pytest.mark.parametrize("existing", ["refuse", "update"])
@pytest.mark.parametrize("raised", [KeyboardInterrupt(), RuntimeError("no room")])
def test_parts_beside_what_is_committed_are_gone_on_from_by_a_command_that_is_not_refused(
    raised: BaseException, existing: str, photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    plan = make_plan(settings_of(photos, tmp_path / "out", *TWO, f"--existing={existing}"), Where())

    def commit_one_and_fail() -> None:
        commit(plan, 0)
        raise raised

    line, *again = str(ended(plan, Claim(), commit_one_and_fail)).split("\n")
    flag = " with --existing update" if existing == "refuse" else ""
    assert f"committed and stands; what it finished is kept, and the same command{flag} goes on from there" in line
    added = ["--existing=update"] if flag else []
    for command in again:
        assert shlex.split(command) == ["embed-images", *plan.settings.command_line, *added]
    assert [path.rpartition("/")[2] for path in files_in(plan.targets[1].output)] == ["owner.json", "part.parquet"]


@pytest.mark.parametrize(
    ("raised", "why"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (RunError("the job ended as FAILED"), "the job ended as FAILED"),
        (ConnectionError("the runner has gone"), "the run failed: the runner has gone; --log_level debug shows more"),
    ],
    ids=["KeyboardInterrupt", "RunError", "ConnectionError"],
)
def test_nothing_turns_a_run_that_is_committed_into_a_failure(
    raised: BaseException, why: str, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    """(1c)"""
    with claimed(plan, Claim()):
        write_some(plan)
        for index in range(2):
            commit(plan, index)
        raise raised
    assert capsys.readouterr().err == f"embed-images: the run was committed, and stands; after it: {why}\n"
    assert [shard(plan, index).read_text() for index in range(2)] == ["whole", "whole"]


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), ConnectionError("no route")])
def test_a_job_elsewhere_is_cancelled_before_its_files_are_removed(raised: BaseException, plan: Plan) -> None:
    """(1e)"""
    seen = []
    held = Claim(cancel=lambda: seen.append(len(files_in(folder(plan)))))
    failure = ended(plan, held, lambda: fail(raised))
    assert isinstance(failure, Interrupted | RunError)
    assert seen == [6]
    assert "nothing half-written was kept" in str(failure)
    assert files_in(folder(plan)) == []


def test_a_job_that_cannot_be_cancelled_loses_its_claims_and_is_named(plan: Plan) -> None:
    """Its commit refuses without them. (1e)"""

    def refuse() -> None:
        raise ConnectionError("no route")

    failure = ended(plan, Claim(cancel=refuse), lambda: fail(KeyboardInterrupt()))
    assert str(failure).startswith("interrupted, its job may run on, but will not be committed (no route); to start")
    assert files_in(folder(plan)) == []


def test_the_finished_run_before_it_stays(plan: Plan) -> None:
    older = "20260101T000000-a1b2c3"
    for index, target in enumerate(plan.targets):
        shard(plan, index).parent.mkdir(parents=True)
        shard(plan, index, older).write_text("older")
        pathlib.Path(target.output, "manifest.json").write_text(json.dumps({"run_id": older}))
    before = files_in(folder(plan))
    assert isinstance(ended(plan, Claim(), lambda: fail(RuntimeError("no room"))), RunError)
    assert files_in(folder(plan)) == before


def test_only_a_verbose_run_shows_where_the_error_was_raised(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    ended(plan, Claim(), lambda: fail(RuntimeError("no room")))
    assert capsys.readouterr().err == ""
    ended(verbose(plan), Claim(), lambda: fail(RuntimeError("no room")))
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback (most recent call last):\n")
    assert printed.endswith("RuntimeError: no room\n")


@pytest.mark.parametrize("runner", Runner)
def test_a_claim_names_this_process_only_where_it_does_the_work(runner: Runner, settings: Settings) -> None:
    plan = make_plan(settings, Where(runner))
    claim_outputs(plan)
    owner = pathlib.Path(plan.targets[0].output, f".run-{plan.run_id}", "owner.json")
    assert ("pid" in json.loads(owner.read_text())) is (runner is Runner.LOCAL)
    assert end_outputs(plan) == End()
    assert files_in(folder(plan)) == []


def test_an_output_that_cannot_be_written_to_is_a_mistake_and_no_other_one_stays_claimed(plan: Plan) -> None:
    folder(plan).mkdir()
    pathlib.Path(plan.targets[1].output).write_text("a file is in the way")
    ran = []
    with (
        pytest.raises(UsageError, match=f"^cannot write to --output {plan.targets[1].output}: "),
        claimed(plan, Claim()),
    ):
        ran.append(True)
    assert ran == []
    assert files_in(folder(plan)) == ["MobileNetV2"]


def test_signals_are_left_alone_in_threads_which_cannot_have_them(plan: Plan) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    failures: list[BaseException] = []

    def run() -> None:
        raise_when_interrupted()
        ignore_signals()
        failures.append(ended(plan, Claim(), lambda: fail(RuntimeError("no room"))))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [type(failure) for failure in failures] == [RunError]
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_what_became_of_the_outputs_is_said_in_one_line() -> None:
    assert str(End()) == "nothing half-written was kept"
    assert str(End(left=("one", "another"))) == "one; another"
    assert str(End(committed=("/a", "/b"))) == "/a, /b is committed and stands; nothing else was kept"
    assert str(End(("/a",), ("/b cannot be removed",))) == "/a is committed and stands; /b cannot be removed"


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (UsageError("the graph is broken; delete it"), 2, "embed-images: the graph is broken; delete it\n"),
        (RunError("it ended"), 1, "embed-images: it ended; nothing half-written was kept\n"),
        (
            ZeroDivisionError("by zero"),
            1,
            "embed-images: the run failed: by zero; --log_level debug shows more; nothing half-written was kept\n",
        ),
    ],
    ids=["UsageError", "RunError", "ZeroDivisionError"],
)
def test_the_command_ends_with_the_line_and_the_exit_code_of_each(
    raised: Exception,
    code: int,
    says: str,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def build(root: beam.Pipeline, plan: Plan) -> None:
        write_some(plan)
        raise raised

    monkeypatch.setattr("pipelines.embed_images.build", build)
    assert main(["--input", str(photos), "--output", str(tmp_path / "out"), *LIGHT, "--existing=replace"]) == code
    assert capsys.readouterr() == ("", says)
    assert files_in(tmp_path / "out") == []


@pytest.mark.parametrize("runs_on", [False, True])
def test_the_command_is_130_where_a_signal_came_before_or_after_the_job_runs_elsewhere(
    runs_on: bool,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Elsewhere:
        """A launcher whose job runs elsewhere as soon as it is built, or is interrupted before."""

        where = Where(Runner.PORTABLE)

        def run(self, build: Callable[[beam.Pipeline], None], plan: Plan) -> None:
            held = Claim(runs_on=RUNS_ON if runs_on else "")
            with claimed(plan, held):
                write_some(plan)
                os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("pipelines.embed_images.launcher_for", lambda *_: Elsewhere())
    assert main(["--input", str(photos), "--output", str(tmp_path / "out"), *LIGHT, "--existing=replace"]) == 130
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"\n{RUNS_ON}\n" if runs_on else "\ninterrupted, nothing half-written was kept; ")
    assert (files_in(tmp_path / "out") != []) is runs_on


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_comes_after_the_run_changes_nothing(number: signal.Signals, plan: Plan) -> None:
    """The summary is still to come. (1c, 1i)"""
    with claimed(plan, Claim()):
        write_some(plan)
    os.kill(os.getpid(), number)
    assert len(files_in(folder(plan))) == 6
