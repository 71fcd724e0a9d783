"""A run on this machine to its end, well or badly."""

import dataclasses
import json
import os
import pathlib
import threading
import time
from typing import Any

import apache_beam as beam
import pytest

from pipelines.embed_images import build
from pipelines.launch.local import LocalLauncher
from pipelines.options.settings import Settings
from pipelines.plan.plan import Plan, make_plan
from pipelines.plan.run_stats import RunStats
from pipelines.plan.runner import Runner, Where
from pipelines.plan.standing import Standing
from tests.pipelines.conftest import files_in, settings_of
from transforms.backbones import loaded
from transforms.core.counters import reset_tally, tally
from transforms.core.errors import RunError, UsageError
from transforms.embed.canary import Canary

get_loaded = loaded.get


def files(plan: Plan) -> list[str]:
    return files_in(plan.targets[0].output)


def broken(_: Any) -> Any:
    raise RuntimeError("line one\nthe disk is on fire")


def run(plan: Plan, *beam_args: str) -> RunStats:
    return LocalLauncher([*beam_args]).run(lambda root: build(root, plan), plan)


def test_a_run_gives_its_seconds_and_counters(plan: Plan) -> None:
    stats = run(plan, "--runner=DirectRunner")
    assert stats.seconds > 0
    assert stats.start_seconds > 0
    assert stats.counters["images-embedded"] == 10
    assert json.loads((pathlib.Path(plan.targets[0].output) / "manifest.json").read_text())["run_id"] == plan.run_id


def test_a_worker_that_computes_otherwise_than_the_first_run_is_one_line(plan: Plan) -> None:
    run(plan)
    (target,) = plan.targets
    manifest = pathlib.Path(target.output) / "manifest.json"
    first = manifest.read_text()
    canary = Canary.of(json.loads(first)["canary"])

    def update(canary: Canary) -> Plan:
        """Plan to embed all again, though the canary is that of a first run."""
        again = make_plan(dataclasses.replace(plan.settings, existing="replace"), Where())
        told = Standing({**json.loads(first), "canary": canary.entry(), "files": []})
        return dataclasses.replace(again, targets=(dataclasses.replace(again.targets[0], standing=told),))

    with pytest.raises(RunError) as failure:
        run(update(dataclasses.replace(canary, vectors=canary.vectors[::-1])))
    assert str(failure.value).startswith("this worker computes other embeddings than the collection's first run did (")
    assert str(failure.value).endswith("or --existing replace; nothing half-written was kept")
    with pytest.raises(RunError, match="images decode to other pixels"):
        run(update(dataclasses.replace(canary, decoding="another")))
    assert manifest.read_text() == first
    run(update(canary))
    assert json.loads(manifest.read_text())["canary"] == json.loads(first)["canary"]


def test_nothing_but_the_manifest_and_a_folder_for_each_kind_of_file_stays(
    photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (photos / "bad.jpg").write_bytes(b"bad")
    plan = make_plan(settings_of(photos, tmp_path / "out", "--output_format=parquet,tfrecord"), Where())
    run(plan)
    run_ = plan.run_id
    assert files(plan) == [
        f"failures/failures-{run_}-00000-of-00001.jsonl",
        "manifest.json",
        f"parquet/embeddings-{run_}-00000-of-00001.parquet",
        f"tfrecord/embeddings-{run_}-00000-of-00001.tfrecord.gz",
        "tfrecord/features.json",
    ]
    assert sorted(os.listdir(tmp_path / "out")) == ["failures", "manifest.json", "parquet", "tfrecord"]


def test_images_are_decoded_while_a_backbone_is_loaded(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    def load_late(backbone: Any) -> Any:
        patience = time.monotonic() + 60
        while not tally().get("images-decoded") and time.monotonic() < patience:
            time.sleep(0.01)
        decoded.append(tally().get("images-decoded", 0))
        return get_loaded(backbone)

    # Of another run in this process.
    reset_tally()
    monkeypatch.setattr("transforms.backbones.loaded.get", load_late)
    stats = run(plan)
    assert min(decoded) > 0
    assert stats.counters["images-embedded"] == 10


def test_what_another_run_of_this_process_has_counted_is_not_this_ones(settings: Settings) -> None:
    for _ in range(2):
        assert run(make_plan(settings, Where())).counters["images-embedded"] == 10


@pytest.mark.exhaustive
def test_what_processes_of_their_own_have_counted_is_told(plan: Plan) -> None:
    stats = run(plan, "--direct_num_workers=2", "--direct_running_mode=multi_processing")
    assert stats.counters["images-embedded"] == 10
    assert stats.counters["batches-on-cpu"] >= 1
    assert stats.counters["forward-busy-us"] > 0


def test_a_backbone_that_cannot_be_loaded_is_a_mistake_in_its_own_words(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> Any:
        raise UsageError("the graph is broken; delete it")

    monkeypatch.setattr("transforms.backbones.loaded.get", fail)
    with pytest.raises(UsageError, match=r"^the graph is broken; delete it$"):
        run(plan)
    assert files(plan) == []


def test_a_run_whose_workers_have_the_backbone_stands(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_here(backbone: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            raise MemoryError("for a moment")
        return get_loaded(backbone)

    monkeypatch.setattr("transforms.backbones.loaded.get", fail_here)
    assert run(plan).counters["images-embedded"] == 10


def test_a_failed_run_says_why_in_one_line_and_keeps_nothing(plan: Plan) -> None:
    def also_break(root: Any) -> None:
        build(root, plan)
        _ = root | beam.Create([1]) | beam.Map(broken)

    with pytest.raises(RunError, match=r"the disk is on fire.*; nothing half-written was kept") as failure:
        LocalLauncher([]).run(also_break, plan)
    assert "\n" not in str(failure.value)
    assert files(plan) == []


def test_a_failed_run_leaves_the_finished_one_before_it_as_it_was(settings: Settings, plan: Plan) -> None:
    run(plan)
    before = files(plan)
    assert before
    second = make_plan(settings, Where())
    with pytest.raises(RunError):
        LocalLauncher([]).run(lambda root: root | beam.Create([1]) | beam.Map(broken), second)
    assert files(second) == before


def test_a_run_that_fails_after_its_manifest_stands_has_succeeded(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    """(1c)"""
    folder = pathlib.Path(plan.targets[0].output)
    shard = f"parquet/embeddings-{plan.run_id}-00000-of-00001.parquet"

    def finish(_: int) -> None:
        (folder / "parquet").mkdir()
        (folder / shard).write_text("whole")
        (folder / "manifest.json").write_text(json.dumps({"run_id": plan.run_id}))

    stats = LocalLauncher([]).run(lambda root: root | beam.Create([1]) | beam.Map(finish) | beam.Map(broken), plan)
    assert stats.seconds > 0
    assert {"manifest.json", shard} <= set(files(plan))
    assert "the run was committed, and stands; after it: " in capsys.readouterr().err


def test_an_output_that_cannot_be_made_is_a_mistake_and_no_crash(plan: Plan) -> None:
    pathlib.Path(plan.targets[0].output).write_text("a file is in the way")
    with pytest.raises(UsageError, match="cannot write to --output"):
        LocalLauncher([]).run(lambda root: None, plan)


def test_a_pipeline_that_cannot_be_built_keeps_nothing(plan: Plan) -> None:
    with pytest.raises(RunError, match="the disk is on fire"):
        LocalLauncher([]).run(broken, plan)
    assert files(plan) == []


def test_this_machine_needs_nothing_costs_nothing_and_is_not_measured(plan: Plan) -> None:
    launcher = LocalLauncher([])
    assert launcher.where == Where(Runner.LOCAL)
    assert LocalLauncher(["--direct_running_mode=multi_processing"]).where == Where(Runner.LOCAL, has_workers=True)
    assert launcher.needs(plan) == []
    assert launcher.costs(1000, lambda: broken(None)) == []
    assert files(plan) == []
