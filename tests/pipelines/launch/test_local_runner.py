"""Worker processes of a local run are children of the command, and leave Ctrl-C to it."""

import os
import pathlib
import signal
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.portability import python_urns
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipelines.launch.beam_pipeline import empty_pipeline
from pipelines.launch.local_runner import LocalRunner
from pipelines.local_worker import worker_command

TWO = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]


def environments_of(flags: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Return the environments that Beam would run a pipeline in."""
    found: dict[str, bytes] = {}

    def note(self: Any, proto: Any, options: Any) -> None:
        found.update({one.urn: one.payload for one in proto.components.environments.values()})

    monkeypatch.setattr(FnApiRunner, "run_via_runner_api", note)
    pipeline = empty_pipeline(flags, LocalRunner())
    _ = pipeline | beam.Create([1])
    pipeline.run()
    return found


def test_processes_are_started_by_our_line_and_one_process_by_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environments_of(TWO, monkeypatch) == {python_urns.SUBPROCESS_SDK: worker_command(verbose=False).encode()}
    assert python_urns.SUBPROCESS_SDK not in environments_of([], monkeypatch)


def look(path: str) -> None:
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    pathlib.Path(path).write_text(f"{os.getppid()} {ignored}")


@pytest.mark.exhaustive
def test_a_worker_is_a_child_of_the_command_and_ignores_ctrl_c(tmp_path: pathlib.Path) -> None:
    pipeline = empty_pipeline(TWO, LocalRunner())
    _ = pipeline | beam.Create([str(tmp_path / "seen")]) | beam.Map(look)
    pipeline.run().wait_until_finish()
    assert (tmp_path / "seen").read_text() == f"{os.getpid()} True"
