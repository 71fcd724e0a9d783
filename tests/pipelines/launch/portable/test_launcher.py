"""A run on a job service: Beam's own, in a process of its own, which asks this process for the workers."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import grpc
import numpy as np
import pyarrow.parquet as pq
import pytest
from apache_beam.metrics.execution import MetricKey, MetricResult
from apache_beam.metrics.metricbase import MetricName
from apache_beam.options.pipeline_options import PortableOptions

from pipelines.command import main
from pipelines.console.interrupts import SIGNALS
from pipelines.embed_images import build
from pipelines.launch.portable.launcher import LOOK_SECONDS, PortableLauncher, follow, portable_launcher
from pipelines.plan.plan import make_plan
from pipelines.plan.run_stats import RunStats
from pipelines.plan.runner import Runner, Where
from pipelines.plan.stages import manifest_of
from tests.pipelines.conftest import LIGHT, files_in, settings_of
from transforms.backbones import choose_engine
from transforms.core.errors import Interrupted, RunError

ROOT = pathlib.Path(__file__).parents[4]
SERVICE = "apache_beam.runners.portability.local_job_service_main"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The flags that lead to a job service on loopback, whose workers are this process."""
    folder = tmp_path_factory.mktemp("service")
    port = folder / "port"
    command = [sys.executable, "-m", SERVICE, "--port=0", f"--port_file={port}", f"--staging_dir={folder / 'staging'}"]
    with (
        open(folder / "log", "w") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            while not (port.exists() and port.read_text()):
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.02)
            endpoint = f"localhost:{port.read_text()}"
            with grpc.insecure_channel(endpoint) as channel:
                grpc.channel_ready_future(channel).result(60)
            yield ["--runner=PortableRunner", f"--job_endpoint={endpoint}", "--environment_type=LOOPBACK"]
        finally:
            process.terminate()


def vectors(folder: pathlib.Path) -> dict[str, np.ndarray]:
    table = pq.read_table(folder / "parquet")
    return dict(zip(table["uri"].to_pylist(), map(np.asarray, table["embedding"].to_pylist()), strict=True))


def test_a_job_embeds_what_a_local_run_embeds(
    service: list[str], photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "bad.jpg").write_bytes(b"bad")
    job = ["--input", str(photos), *LIGHT, "--engine=tensorflow"]
    assert main([*job, "--output", str(tmp_path / "job"), *service]) == 0
    printed = capsys.readouterr()
    assert "10 of 11 inputs embedded by MobileNet" in printed.out
    assert printed.err == ""
    assert main([*job, "--output", str(tmp_path / "local")]) == 0
    manifests = [json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("job", "local")]
    for key in ("counts", "embedding_spec_fingerprint", "failures", "health"):
        assert manifests[0][key] == manifests[1][key], key
    here, there = (vectors(tmp_path / name) for name in ("local", "job"))
    assert sorted(here) == sorted(there)
    for uri, vector in here.items():
        np.testing.assert_array_equal(there[uri], vector)
    assert not list((tmp_path / "job").glob(".run-*"))


def test_a_job_gives_the_seconds_and_the_counters_of_its_workers(
    service: list[str], photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    launcher = portable_launcher(service)
    plan = make_plan(settings_of(photos, tmp_path / "out"), launcher.where)
    assert launcher.where == Where(Runner.PORTABLE, is_loopback=True)
    assert plan.targets[0].backbone.engine == choose_engine("auto")
    stats = launcher.run(lambda root: build(root, plan), plan)
    assert stats.counters["images-embedded"] == 10
    assert stats.seconds > 0


class Job:
    """The result of a job that counts on after it was asked, and gives its first answer until that is forgotten."""

    def __init__(self) -> None:
        self.done, self._metrics = 1, None

    def metrics(self) -> Any:
        self._metrics = self._metrics or self.done
        return self

    def query(self, _: Any) -> Any:
        key = MetricKey("step", MetricName("embed-images", "images-embedded"))
        return {"counters": [MetricResult(key, self._metrics, None)]}

    def wait_until_finish(self) -> None:
        # Longer than the first look takes.
        time.sleep(2 * LOOK_SECONDS)
        self.done = 10


def test_the_counters_of_a_job_are_those_of_its_end(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    plan, job = make_plan(settings_of(photos, tmp_path / "out"), Where()), Job()
    follow(job, plan)
    assert RunStats.of(job, 0.0, 0.0).counters["images-embedded"] == 10


@pytest.mark.exhaustive
def test_a_job_may_take_longer_than_beam_waits_for_an_answer(
    service: list[str], photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(element: Any) -> Any:
        time.sleep(3)
        return element

    def run(*flags: str) -> None:
        launcher = PortableLauncher([*service, *flags])
        plan = make_plan(settings_of(photos, tmp_path / "out"), launcher.where)
        launcher.run(lambda root: root | beam.Create([1]) | beam.Map(slow), plan)

    # So short that it shows which is meant.
    with pytest.raises(RunError, match="Deadline Exceeded"):
        run("--job_server_timeout=2")
    monkeypatch.setattr(PortableOptions, "_add_argparse_args", classmethod(short_timeout))
    run()


def short_timeout(cls: Any, parser: Any, add: Any = PortableOptions._add_argparse_args) -> None:
    add.__func__(cls, parser)
    parser.set_defaults(job_server_timeout=2)


def test_a_job_that_fails_says_why_in_one_line_and_keeps_nothing(
    service: list[str], photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    def broken(_: Any) -> None:
        raise RuntimeError("the disk is on fire")

    launcher = PortableLauncher(service)
    plan = make_plan(settings_of(photos, tmp_path / "out"), launcher.where)
    with pytest.raises(RunError, match=r"^the run failed: .*; nothing half-written was kept$") as failure:
        launcher.run(lambda root: root | beam.Create([1]) | beam.Map(broken), plan)
    assert "\n" not in str(failure.value)
    assert files_in(tmp_path / "out") == []


def interrupt_a_job(number: int, service: list[str], photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Interrupt this process while a job waits, and check what is kept."""
    gate = tmp_path / "gate"
    launcher = PortableLauncher(service)
    plan = make_plan(settings_of(photos, tmp_path / "out"), launcher.where)
    refused = tmp_path / "refused"

    def wait(element: Any) -> Any:
        (tmp_path / "waits").touch()
        while not gate.exists():
            time.sleep(0.05)
        return element

    def commit(_: Any) -> None:
        try:
            manifest_of(plan, plan.targets[0]).commit([])
        except RunError as e:
            refused.write_text(str(e))

    def build_one(root: beam.Pipeline) -> None:
        _ = root | beam.Create([1]) | beam.Map(wait) | beam.Reshuffle() | "Commit" >> beam.Map(commit)

    def interrupt() -> None:
        while not (tmp_path / "waits").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(Interrupted, match=r"^interrupted, nothing half-written was kept; to start again:\n"):
        launcher.run(build_one, plan)
    assert files_in(tmp_path / "out") == []
    gate.touch()
    until = time.monotonic() + 60
    while not refused.exists():
        assert time.monotonic() < until, "the job did not go on"
        time.sleep(0.05)
    assert "has lost its claim" in refused.read_text()
    assert files_in(tmp_path / "out") == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupted_job_is_cancelled_and_is_never_committed(
    number: signal.Signals, service: list[str], photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """This service calls a job cancelled that it goes on with: the commit has lost its claim. (1e)

    In a process of its own: a signal that is not handled would end these tests.
    """
    code = (
        "import json, os, pathlib, sys\n"
        "from tests.pipelines.launch.portable.test_launcher import interrupt_a_job\n"
        "number, service, photos, folder = sys.argv[1:]\n"
        "interrupt_a_job(int(number), json.loads(service), pathlib.Path(photos), pathlib.Path(folder))\n"
        "print('checked', flush=True)\nos._exit(0)\n"
    )
    command = [sys.executable, "-c", code, str(number.value), json.dumps(service), str(photos), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "checked\n"), done.stderr


def test_a_runner_that_cannot_be_had_fails_the_run_and_keeps_nothing(
    photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--input", str(photos), "--output", str(tmp_path / "out"), *LIGHT, "--runner=tests.conftest.SomeRunner"]
    assert main(flags) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("embed-images: the run failed: module 'tests.conftest' has no attribute 'SomeRunner'")
    assert files_in(tmp_path / "out") == []


def test_what_a_runner_needs_and_costs_is_not_known(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    def measure() -> Any:
        raise AssertionError("nothing need be measured")

    launcher = PortableLauncher(["--runner=FlinkRunner"])
    assert launcher.where == Where(Runner.PORTABLE)
    plan = make_plan(settings_of(photos, tmp_path / "out"), launcher.where)
    assert launcher.needs(plan) == []
    assert launcher.costs(1000, measure) == []
    assert files_in(tmp_path / "out") == []
