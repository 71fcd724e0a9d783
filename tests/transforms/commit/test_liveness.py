"""Who is alive: judged from a process that is, one that was, and those that cannot be asked."""

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from transforms.commit import liveness
from transforms.commit.liveness import (
    JOBS_LAST,
    LAPSES_AFTER,
    ended,
    fingerprint_of,
    is_alive,
    is_claim,
    is_fresh,
    owner,
)


def owner_of(code: str) -> tuple[dict[str, Any], subprocess.Popen[bytes]]:
    """Return what the claim of another process says, and the process."""
    say = "import json, sys\nfrom transforms.commit.liveness import owner\nprint(json.dumps(owner(True)), flush=True)\n"
    process = subprocess.Popen([sys.executable, "-c", say + code], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert process.stdout is not None
    return json.loads(process.stdout.readline()), process


def test_a_run_is_alive_as_long_as_its_process_is_however_long_it_has_not_written() -> None:
    """(1f)"""
    claim, process = owner_of("sys.stdin.read()")
    with process:
        assert is_alive(claim, idle=1e9)
        process.kill()
        process.wait()
        assert not is_alive(claim, idle=0.0)


def test_a_process_of_the_same_id_that_started_later_is_another_one() -> None:
    """As process 1 of each container, and after ids have gone round. (1f)"""
    claim = owner(local=True)
    assert is_alive(claim, idle=1e9)
    assert not is_alive({**claim, "process_started": "1"}, idle=0.0)


@pytest.mark.parametrize("differs", ["boot", "pid_namespace"])
def test_the_age_decides_where_the_process_cannot_be_asked(differs: str) -> None:
    """A live run in another container on a shared folder is left alone. (1f)"""
    claim = {**owner(local=True), differs: "another"}
    assert is_alive(claim, idle=LAPSES_AFTER - 1)
    assert not is_alive(claim, idle=LAPSES_AFTER)


def test_without_proc_the_age_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """Where a signal to a process that is asked for would end it, as on Windows."""
    monkeypatch.setattr(liveness, "_BOOT", str(tmp_path / "none"))
    monkeypatch.delattr("os.kill")
    claim = owner(local=True)
    assert set(claim) == {"fingerprint", "lapses_after", "pid", "process_started"}
    assert is_alive(claim, idle=LAPSES_AFTER - 1)
    assert not is_alive(claim, idle=LAPSES_AFTER)


def test_a_job_elsewhere_which_nobody_renews_lives_as_long_as_a_job_can() -> None:
    """It may wait in a queue for days. (1f)"""
    assert is_alive(owner(local=False), idle=JOBS_LAST - 1)
    assert not is_alive(owner(local=False), idle=JOBS_LAST)


@pytest.mark.parametrize("claim", [None, [], 7, "x", {}, {"pid": 1}, {"pid": "1"}, {"lapses_after": "long"}])
def test_whatever_stands_in_a_claim_the_age_decides(claim: Any) -> None:
    """(1c)"""
    assert is_alive(claim, idle=LAPSES_AFTER - 1)
    assert not is_alive(claim, idle=LAPSES_AFTER)


def test_a_process_that_the_system_hides_from_this_user_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = {**owner(local=True), "pid": 2**22 + 1}
    assert not is_alive(claim, idle=0.0)

    def kill(pid: int, signal: int) -> None:
        raise PermissionError(f"process {pid} is another person's")

    monkeypatch.setattr("os.kill", kill)
    assert is_alive(claim, idle=1e9)
    assert os.getpid() != claim["pid"]


@pytest.mark.parametrize(
    "claim", [owner(local=True, fingerprint="abc"), owner(local=False, fingerprint="abc"), None, [], {}]
)
def test_a_run_that_has_ended_is_dead_and_claims_nothing_and_is_still_known_by_its_spec(claim: Any) -> None:
    """Though its process may go on for a while."""
    over = ended(claim)
    assert not is_alive(over, idle=0.0)
    assert not is_fresh(over, idle=0.0)
    assert not is_claim(over)
    assert fingerprint_of(over) == fingerprint_of(claim)
    assert ended(over) == over


@pytest.mark.parametrize(
    ("claim", "claims", "fingerprint"),
    [
        (owner(local=True, fingerprint="abc"), True, "abc"),
        (owner(local=False), True, ""),
        ({}, True, ""),
        ({"fingerprint": 7}, True, ""),
        *((no_claim, False, "") for no_claim in (None, [], 7, "x")),
    ],
)
def test_a_claim_is_one_whatever_it_says(claim: Any, claims: bool, fingerprint: str) -> None:
    assert is_claim(claim) is claims
    assert fingerprint_of(claim) == fingerprint


def test_a_job_elsewhere_was_at_work_lately_if_it_wrote_within_the_hour() -> None:
    """Though its claim lasts for days, a person may know that it is over."""
    for claim in (owner(local=False), {**owner(local=True), "boot": "another"}):
        assert is_fresh(claim, idle=LAPSES_AFTER - 1)
        assert not is_fresh(claim, idle=LAPSES_AFTER)
    for no_claim in (None, [], 7):
        assert not is_fresh(no_claim, idle=0.0)


def test_a_run_here_is_at_work_as_long_as_its_process_is() -> None:
    assert is_fresh(owner(local=True), idle=1e9)
    assert not is_fresh({**owner(local=True), "process_started": "1"}, idle=0.0)
