"""Plans: what is read, what is made of it, and where it goes; settled before a run begins."""

import dataclasses
import pathlib
import re
from collections.abc import Mapping

import numpy as np
import pytest

from pipelines.options.command_line import parse
from pipelines.plan.plan import Plan, Target, loadable_here, make_plan
from pipelines.plan.runner import Runner, Where
from tests.pipelines.conftest import settings_of
from transforms import Backbone
from transforms.core.errors import UsageError


def planned(photos: pathlib.Path, output: pathlib.Path | str, *flags: str) -> Plan:
    return make_plan(settings_of(photos, output, *flags), Where())


def test_a_plan_has_one_folder_for_one_backbone(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    plan = planned(photos, tmp_path / "out")
    (target,) = plan.targets
    assert target.output == str(tmp_path / "out")
    assert (target.spec.backbone, target.spec.dim, target.spec.weights) == ("MobileNet", 1024, "random")
    assert plan.image_sizes == ((32, 32),)
    assert not (tmp_path / "out").exists()


@pytest.mark.exhaustive
def test_several_backbones_have_a_folder_each_and_decode_for_the_largest(
    photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    arguments = ["--input", str(photos), "--output", str(tmp_path / "out"), "--weights", "random"]
    plan = make_plan(parse([*arguments, "--backbone", "mobilenet,Xception"])[0], Where())
    assert [target.output for target in plan.targets] == [
        str(tmp_path / "out" / name) for name in ("MobileNet", "Xception")
    ]
    assert plan.image_sizes == ((224, 224), (299, 299))
    assert [target.spec.decoded_for for target in plan.targets] == [(299, 299)] * 2


def test_backbones_of_one_size_have_it_once(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert planned(photos, tmp_path / "out", "--backbone=MobileNet,MobileNetV2").image_sizes == ((32, 32),)


def test_one_process_is_one_reader(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    settings = settings_of(photos, tmp_path / "out")
    places = [Where(), Where(has_workers=True), Where(Runner.PORTABLE)]
    assert [make_plan(settings, where).source.one_reader for where in places] == [True, False, False]


def test_a_list_may_say_which_version_of_an_image_is_meant(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"uri,etag\n{photos}/a/1.jpg,x\n")
    plan = planned(path, tmp_path / "out", "--version_column=etag")
    assert [row and row.version for row in plan.source.rows()] == ["listed:x"]
    with pytest.raises(UsageError, match="choose one with --version_column"):
        planned(path, tmp_path / "out", "--version_column=none")


def test_two_plans_have_different_runs(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert planned(photos, tmp_path / "out").run_id != planned(photos, tmp_path / "out").run_id


def test_a_plan_holds_the_settings_and_the_place_that_it_was_made_for(
    photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    settings = settings_of(photos, tmp_path / "out")
    where = Where(Runner.DATAFLOW, {"accelerator": "type:nvidia-l4"})
    plan = make_plan(settings, where)
    assert plan.settings is settings
    assert plan.where is where
    assert [source.path for source in plan.source.sources] == [f"{photos}/**"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", plan.started)


def test_the_day_and_the_run_of_inputs_and_output_are_those_of_the_plan(
    photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    plan = planned(photos, f"{tmp_path}/out/{{date}}/{{run}}")
    day = f"{plan.run_id[:4]}-{plan.run_id[4:6]}-{plan.run_id[6:8]}"
    assert plan.targets[0].output == f"{tmp_path}/out/{day}/{plan.run_id}"
    with pytest.raises(UsageError, match=f"nothing matches --input {tmp_path}/new-2"):
        planned(tmp_path / "new-{date}", tmp_path / "out")


def test_a_relative_output_is_one_from_here(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert planned(photos, "o ut/").targets[0].output == str(tmp_path / "o ut")


@pytest.mark.parametrize(("runner", "here"), [(Runner.LOCAL, True), (Runner.DATAFLOW, False), (Runner.PORTABLE, False)])
def test_a_backbone_is_loaded_as_it_computes_only_where_this_machine_embeds(runner: Runner, here: bool) -> None:
    backbone = Backbone("MobileNet", weights="random", precision="bfloat16")
    loaded = loadable_here(backbone, Where(runner))
    assert loaded == (backbone if here else dataclasses.replace(backbone, precision="float32"))


@pytest.mark.parametrize("runner", [Runner.DATAFLOW, Runner.PORTABLE])
def test_the_spec_has_the_precision_in_which_another_machine_computes(
    runner: Runner, photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Though this one could not: no processor computes in float16."""
    plan = make_plan(settings_of(photos, tmp_path / "out", "--precision=float16"), Where(runner))
    (target,) = plan.targets
    assert (target.backbone.precision, target.spec.precision) == ("float16", "float16")
    with pytest.raises(UsageError, match="float16"):
        planned(photos, tmp_path / "out", "--precision=float16")


@pytest.mark.parametrize(("runner", "missed"), [(Runner.LOCAL, True), (Runner.DATAFLOW, False)])
def test_a_required_gpu_is_looked_for_where_the_embedding_happens(
    runner: Runner, missed: bool, photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.backbones.engines.tensorflow.device", lambda: "CPU")
    settings = settings_of(photos, tmp_path / "out", "--require_gpu")
    if missed:
        with pytest.raises(UsageError, match="TensorFlow sees no GPU here"):
            make_plan(settings, Where(runner))
    else:
        assert make_plan(settings, Where(runner)).targets


@pytest.mark.exhaustive
def test_the_names_of_classes_are_looked_up_before_the_run(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[tuple[int, ...], int]] = []

    def name_classes(scores: np.ndarray, k: int) -> list[object]:
        asked.append((scores.shape, k))
        return []

    monkeypatch.setattr("pipelines.plan.plan.name_classes", name_classes)
    planned(photos, tmp_path / "out", "--include_top", "--top_k=3")
    planned(photos, tmp_path / "out", "--include_top")
    assert asked == [((1, 1000), 3)]


def test_cheap_checks_come_before_the_weights(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> None:
        raise AssertionError("the weights were read")

    monkeypatch.setattr("transforms.backbones.loaded.facts_of", read)
    with pytest.raises(UsageError, match="lies in an --input folder"):
        planned(photos, photos / "out")
    with pytest.raises(UsageError, match="nothing matches --input"):
        planned(photos / "none", tmp_path / "out")


def test_plans_and_targets_are_frozen(plan: Plan) -> None:
    replaceable: Mapping[str, int] = Target(Backbone("MobileNet"), plan.targets[0].spec, "out").replaceable
    assert replaceable == {}
    for value, field in ((plan, "run_id"), (plan.targets[0], "output")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field, "another")


def test_a_backbone_that_is_named_twice_is_refused_since_both_would_write_to_one_folder(
    photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(UsageError, match="--backbone names one twice: MobileNet, MobileNet"):
        make_plan(settings_of(photos, tmp_path / "out", "--backbone=mobilenet,MobileNet"), Where())
