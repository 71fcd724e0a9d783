"""A run to its end, well or badly."""

import copy
import json
import os
import pathlib
import threading
import time
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from pipelines.command import main
from pipelines.embed_images import build
from pipelines.launch.local import _Options, run_to_end
from pipelines.options.flags import parse
from pipelines.plan.plan import Plan, make_plan
from transforms.backbones.loaded import load
from transforms.core.counters import reset_tally, tally
from transforms.core.errors import RunError, UsageError


@pytest.fixture
def options(photos: pathlib.Path, tmp_path: pathlib.Path) -> Any:
    flags = ["--weights", "random", "--backbone", "MobileNet", "--image_size", "32", "--overwrite"]
    return parse(["--input", str(photos), "--output", str(tmp_path / "out"), *flags])[0]


@pytest.fixture
def plan(options: Any) -> Plan:
    return make_plan(options)


def files(plan: Plan) -> list[str]:
    folder = plan.targets[0].output
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def broken(_: Any) -> Any:
    raise RuntimeError("line one\nthe disk is on fire")


def test_a_run_gives_its_seconds_and_counters(options: Any, plan: Plan) -> None:
    facts = run_to_end(lambda root: build(root, plan, options), plan, ["--runner=DirectRunner"], verbose=False)
    assert facts.seconds > 0
    assert facts.counters["images-embedded"] == 10
    assert json.loads((pathlib.Path(plan.targets[0].output) / "manifest.json").read_text())["run_id"] == plan.run_id


def test_images_are_decoded_while_a_backbone_is_loaded(
    options: Any, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []

    def load_late(backbone: Any) -> Any:
        patience = time.monotonic() + 60
        while not tally().get("images-decoded") and time.monotonic() < patience:
            time.sleep(0.01)
        decoded.append(tally().get("images-decoded", 0))
        return load(backbone)

    # Of another run in this process.
    reset_tally()
    monkeypatch.setattr("transforms.backbones.loaded.load", load_late)
    facts = run_to_end(lambda root: build(root, plan, options), plan, [], verbose=False)
    assert min(decoded) > 0
    assert facts.counters["images-embedded"] == 10


def test_what_processes_of_their_own_have_counted_is_told(options: Any, plan: Plan) -> None:
    flags = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    facts = run_to_end(lambda root: build(root, plan, options), plan, flags, verbose=False)
    assert facts.counters["images-embedded"] == 10
    assert facts.counters["batches-on-cpu"] >= 1
    assert facts.counters["forward-busy-us"] > 0


def test_a_backbone_that_cannot_be_loaded_is_a_mistake_in_its_own_words(
    options: Any, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> Any:
        raise UsageError("the graph is broken; delete it")

    monkeypatch.setattr("transforms.backbones.loaded.load", fail)
    with pytest.raises(UsageError, match=r"^the graph is broken; delete it$"):
        run_to_end(lambda root: build(root, plan, options), plan, [], verbose=False)
    assert files(plan) == []


def test_a_run_whose_workers_have_the_backbone_stands(
    options: Any, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_here(backbone: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            raise MemoryError("for a moment")
        return load(backbone)

    monkeypatch.setattr("transforms.backbones.loaded.load", fail_here)
    facts = run_to_end(lambda root: build(root, plan, options), plan, [], verbose=False)
    assert facts.counters["images-embedded"] == 10


def test_a_failed_run_says_why_in_one_line_and_keeps_nothing(options: Any, plan: Plan) -> None:
    def also_break(root: Any) -> None:
        build(root, plan, options)
        _ = root | beam.Create([1]) | beam.Map(broken)

    with pytest.raises(RunError, match=r"the disk is on fire.*; nothing half-written was kept") as failure:
        run_to_end(also_break, plan, [], verbose=False)
    assert "\n" not in str(failure.value)
    assert files(plan) == []


def test_a_failed_run_leaves_the_finished_one_before_it_as_it_was(options: Any, plan: Plan) -> None:
    run_to_end(lambda root: build(root, plan, options), plan, [], verbose=False)
    before = files(plan)
    second = make_plan(options)
    with pytest.raises(RunError):
        run_to_end(lambda root: root | beam.Create([1]) | beam.Map(broken), second, [], verbose=False)
    assert files(second) == before


def test_a_run_that_fails_after_its_manifest_stands_keeps_it(plan: Plan) -> None:
    folder = pathlib.Path(plan.targets[0].output)
    shard = folder / f"embeddings-{plan.run_id}-00000-of-00001.parquet"

    def finish(_: int) -> None:
        shard.write_text("whole")
        (folder / "manifest.json").write_text(json.dumps({"run_id": plan.run_id}))

    # As where one of several backbones is committed when another's commit fails.
    with pytest.raises(RunError, match="nothing half-written was kept"):
        run_to_end(lambda root: root | beam.Create([1]) | beam.Map(finish) | beam.Map(broken), plan, [], verbose=False)
    assert {"manifest.json", shard.name} <= set(files(plan))


def test_an_output_that_cannot_be_made_is_a_mistake_and_no_crash(plan: Plan) -> None:
    pathlib.Path(plan.targets[0].output).write_text("a file is in the way")
    with pytest.raises(UsageError, match="cannot write to --output"):
        run_to_end(lambda root: None, plan, [], verbose=False)


def test_a_pipeline_that_cannot_be_built_keeps_nothing(plan: Plan) -> None:
    with pytest.raises(RunError, match="the disk is on fire"):
        run_to_end(broken, plan, [], verbose=False)
    assert files(plan) == []


def test_an_interrupt_before_the_pipeline_runs_is_one_line(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("transforms.backbones.loaded.load", interrupted)
    assert main(["--input", str(photos), "--output", str(tmp_path / "out"), "--weights", "random"]) == 130
    assert capsys.readouterr().err == "\nembed-images: interrupted\n"


def test_views_of_the_options_are_made_once_and_are_beam_s_own() -> None:
    flags = ["--direct_num_workers=3", "--temp_location=/somewhere", "--streaming"]
    ours, beams = _Options(flags), PipelineOptions(flags)
    for view in PipelineOptions.__subclasses__():
        assert ours.view_as(view).get_all_options() == beams.view_as(view).get_all_options()
    assert ours.view_as(DirectOptions) is ours.view_as(DirectOptions)
    ours.view_as(DirectOptions).direct_num_workers = 5
    assert copy.deepcopy(ours).view_as(DirectOptions).direct_num_workers == 5
    assert _Options(flags).view_as(DirectOptions).direct_num_workers == 3
