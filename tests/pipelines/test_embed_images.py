"""The pipeline as it is built: its steps, and each image fetched and decoded once for any number of backbones."""

import dataclasses
import pathlib
import subprocess
import sys

import apache_beam as beam
import numpy as np
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipelines.embed_images import build, run
from pipelines.options.settings import Settings
from pipelines.plan.plan import make_plan
from pipelines.plan.runner import Runner, Where
from tests.conftest import exhaustive
from tests.pipelines.conftest import files_in, settings_of
from transforms.core.counters import reset_tally, tally

TWO = ["--backbone=MobileNet,MobileNetV2", "--output_format=parquet,tfrecord"]


def steps_of(settings: Settings, where: Where) -> dict[str, dict[str, bytes]]:
    """Return the resource hints of each step of a pipeline, by the step's name."""
    root = beam.Pipeline(FnApiRunner())
    build(root, make_plan(settings, where))
    graph = root.to_runner_api()
    return {
        step.unique_name: dict(graph.components.environments[step.environment_id].resource_hints)
        for name, step in graph.components.transforms.items()
        if name not in graph.root_transform_ids
    }


def below(steps: dict[str, dict[str, bytes]], name: str) -> set[str]:
    """Return the names of the steps directly below one, '' for the outermost."""
    prefix = f"{name}/" if name else ""
    return {step[len(prefix) :].partition("/")[0] for step in steps if step.startswith(prefix)}


def test_the_steps_are_the_story_and_each_backbone_has_its_own_below_its_name(
    photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    steps = steps_of(settings_of(photos, tmp_path / "out", *TWO), Where())
    assert below(steps, "") == {"ReadImageUris", "FetchDiffering", "DecodeImages", "MobileNet", "MobileNetV2"}
    for name in ("MobileNet", "MobileNetV2"):
        assert below(steps, name) == {
            *("Embed", "Failures", "Write_parquet", "Write_tfrecord", "Written"),
            *("WriteFailures", "Stages", "Health", "Reasons", "Canaries", "Commit"),
        }


def test_the_hints_of_a_plan_are_on_the_embedding_alone(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    hint = "type:nvidia-l4;count:1;install-nvidia-driver"
    steps = steps_of(settings_of(photos, tmp_path / "out", *TWO), Where(Runner.DATAFLOW, {"accelerator": hint}))
    hinted = {name: hints for name, hints in steps.items() if hints}
    # A composite step has no environment: what counts is what runs.
    assert {"/".join(name.split("/")[:2]) for name in hinted} == {"MobileNet/Embed", "MobileNetV2/Embed"}
    assert {next(iter(hints.values())) for hints in hinted.values()} == {hint.encode()}


@pytest.mark.parametrize("backbones", ["MobileNet", *exhaustive("MobileNet,MobileNetV2")])
def test_an_image_is_fetched_and_decoded_once_for_all_backbones(
    backbones: str, photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    reset_tally()
    assert run(settings_of(photos, tmp_path / "out", f"--backbone={backbones}"), []) == 0
    counted = tally()
    assert (counted["uris-read"], counted["images-fetched"], counted["images-decoded"]) == (10, 10, 10)
    assert counted["images-embedded"] == 10 * len(backbones.split(","))


@pytest.mark.exhaustive
def test_two_backbones_together_give_the_vectors_that_each_gives_alone(
    photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    assert run(settings_of(photos, tmp_path / "both", "--backbone=MobileNet,MobileNetV2"), []) == 0
    for name in ("MobileNet", "MobileNetV2"):
        assert run(settings_of(photos, tmp_path / name, f"--backbone={name}"), []) == 0
        alone, together = (vectors(folder) for folder in (tmp_path / name, tmp_path / "both" / name))
        assert sorted(alone) == sorted(together)
        for uri in alone:
            np.testing.assert_allclose(together[uri], alone[uri], rtol=1e-4, atol=1e-6 * np.abs(alone[uri]).max())


def vectors(folder: pathlib.Path) -> dict[str, np.ndarray]:
    table = pq.read_table(folder / "parquet")
    return dict(zip(table["uri"].to_pylist(), map(np.asarray, table["embedding"].to_pylist()), strict=True))


def test_building_logs_nothing(photos: pathlib.Path, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    """Beam warns of type hints that it cannot use."""
    steps_of(settings_of(photos, tmp_path / "out", *TWO), Where())
    assert caplog.text == ""


def test_the_module_says_that_it_is_no_command() -> None:
    result = subprocess.run([sys.executable, "-m", "pipelines.embed_images"], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].endswith("embed-images, or: python -m pipelines.command")


def test_a_dry_run_builds_and_writes_nothing(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    built: list[object] = []
    monkeypatch.setattr("pipelines.embed_images.build", lambda root, plan: built.append(plan))
    assert run(settings_of(photos, tmp_path / "out", "--dry_run"), []) == 0
    assert built == []
    assert files_in(tmp_path / "out") == []
    assert capsys.readouterr().out.endswith("nothing was written; run it without --dry_run\n")


def test_what_is_taken_over_is_logged(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_of(photos, tmp_path / "out")
    planned = make_plan(settings, Where())
    (target,) = planned.targets
    left = dataclasses.replace(target.standing, parts=(("20261128T235642-42dbe8", ("a", "b")),))
    planned = dataclasses.replace(planned, targets=(dataclasses.replace(target, standing=left),))
    monkeypatch.setattr("pipelines.embed_images.make_plan", lambda *_: planned)
    monkeypatch.setattr("pipelines.launch.local.LocalLauncher.run", lambda *_: None)
    caplog.set_level("INFO", "pipelines")
    assert run(settings, []) == 0
    assert caplog.messages == [f"2 finished parts of run 20261128T235642-42dbe8 are taken over into {tmp_path / 'out'}"]
