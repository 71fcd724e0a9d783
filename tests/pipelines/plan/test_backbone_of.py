"""The backbones of the settings: each flag that is theirs, the engine of the place, the switch of the rewrites."""

import dataclasses
import pathlib
import pickle
import subprocess
import sys
from collections.abc import Sequence

import keras
import pytest

from pipelines.options.command_line import parse
from pipelines.options.settings import Settings
from pipelines.plan.backbone_of import REWRITES, backbones_of, build_ahead
from pipelines.plan.plan import make_plan
from pipelines.plan.runner import Runner, Where
from pipelines.plan.stages import embed_of
from tests.pipelines.conftest import settings_of
from tests.transforms.backbones.own.conftest import network, saved
from transforms import Backbone


def backbone_of(name: str, settings: Settings, where: Where) -> Backbone:
    (backbone,) = backbones_of(dataclasses.replace(settings, backbone=(name,)), where)
    return backbone


NEEDED = ["--input", "photos", "--output", "out"]
ELSEWHERE = [Where(Runner.DATAFLOW), Where(Runner.PORTABLE)]


def settings_with(*flags: str) -> Settings:
    return parse([*NEEDED, *flags])[0]


def test_every_flag_of_a_backbone_reaches_it() -> None:
    flags = {
        "weights": "/w/a.weights.h5",
        "weights_sha256": "ab" * 32,
        "backbone_kwargs": '{"alpha": 0.5}',
        "pooling": "max",
        "include_top": "true",
        "classifier_activation": "linear",
        "top_k": "3",
        "image_size": "96x128",
        "normalize": "true",
        "precision": "bfloat16",
        "engine": "tensorflow",
        "preprocess": "mean=.5,std=.25",
    }
    settings = settings_with("--backbone=mobilenet", *(f"--{name}={value}" for name, value in flags.items()))
    assert backbones_of(settings, Where()) == [
        Backbone(
            "MobileNet",
            weights="/w/a.weights.h5",
            weights_sha256="ab" * 32,
            backbone_kwargs={"alpha": 0.5},
            pooling="max",
            include_top=True,
            classifier_activation="linear",
            top_k=3,
            image_size=(96, 128),
            normalize=True,
            precision="bfloat16",
            engine="tensorflow",
            preprocess="mean=0.5,0.5,0.5,std=0.25,0.25,0.25",
        )
    ]
    assert backbone_of("MobileNet", settings_with("--layer=conv1"), Where()).layer == "conv1"
    # The rewrites have a variable, not a flag.
    fields = {field.name for field in dataclasses.fields(Backbone)}
    assert fields == {*flags, "name", "layer", "rewrites", "model", "trust_model"}


def test_the_weights_of_the_user_are_known_by_one_path(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    backbone = backbone_of("VGG16", settings_with("--weights=./w/../a.weights.h5"), Where())
    assert backbone.weights == str(tmp_path / "a.weights.h5")
    assert backbone_of("VGG16", settings_with("--weights=gs://b/a.h5"), Where()).weights == "gs://b/a.h5"


@pytest.mark.parametrize("gpu", [False, True])
def test_the_engine_is_chosen_for_this_machine_where_it_embeds(gpu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.backbones.engines.has_gpu", lambda: gpu)
    assert backbone_of("VGG16", settings_with(), Where()).engine == ("tensorflow" if gpu else "openvino")


@pytest.mark.parametrize("where", ELSEWHERE, ids=lambda where: where.runner.value)
def test_another_machine_that_embeds_chooses_its_engine(where: Where) -> None:
    assert backbone_of("VGG16", settings_with(), where).engine == "auto"
    assert backbone_of("VGG16", settings_with("--require_gpu"), where).engine == "tensorflow"
    assert backbone_of("VGG16", settings_with("--engine=openvino"), where).engine == "openvino"


def test_onnx_on_a_gpu_that_is_required_is_not_left_to_the_processor(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = [f"--model={saved(network(), tmp_path / 'a.onnx')}", "--preprocess=tf"]
    (backbone,) = backbones_of(settings_with(*flags, "--require_gpu"), Where())
    assert backbone.engine == "onnxruntime"
    for gpu, engine in ((True, "onnxruntime"), (False, "openvino")):
        monkeypatch.setattr("transforms.backbones.engines.has_gpu", lambda gpu=gpu: gpu)
        (backbone,) = backbones_of(settings_with(*flags), Where())
        assert backbone.engine == engine


def test_the_engine_is_the_one_with_gpus_where_one_is_required() -> None:
    assert backbone_of("VGG16", settings_with("--require_gpu"), Where()).engine == "tensorflow"
    assert backbone_of("VGG16", settings_with("--require_gpu", "--engine=openvino"), Where()).engine == "openvino"


@pytest.mark.parametrize(("value", "rewrites"), [("0", False), ("", True), ("1", True), (None, True)])
def test_the_variable_switches_the_rewrites_off_and_nothing_else_does(
    value: str | None, rewrites: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REWRITES, value or "")
    if value is None:
        monkeypatch.delenv(REWRITES)
    assert backbone_of("VGG16", settings_with(), Where()).rewrites is rewrites


def test_without_rewrites_the_spec_is_the_same(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(photos, tmp_path / "out")
    monkeypatch.delenv(REWRITES, raising=False)
    (usual,) = make_plan(settings, Where()).targets
    monkeypatch.setenv(REWRITES, "0")
    (plain,) = make_plan(settings, Where()).targets
    assert (usual.backbone.rewrites, plain.backbone.rewrites) == (True, False)
    assert usual.spec == plain.spec


def test_the_variable_is_read_at_launch_and_what_is_pickled_for_a_worker_has_it(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REWRITES, "0")
    plan = make_plan(settings_of(photos, tmp_path / "out"), Where())
    monkeypatch.delenv(REWRITES)
    (target,) = plan.targets
    sent = pickle.dumps(embed_of(plan, target).backbone)
    code = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()).rewrites)"
    read = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True)
    assert read.stdout == b"False\n"
    monkeypatch.setenv(REWRITES, "1")
    assert embed_of(plan, target).backbone.rewrites is False


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Backbone]:
    """The backbones that a second process would be started for."""
    found: list[Backbone] = []

    def start(backbones: Sequence[Backbone]) -> None:
        found.extend(backbones)

    monkeypatch.setattr("pipelines.plan.backbone_of.prebuild.start", start)
    return found


def test_what_is_built_ahead_is_what_the_plan_asks_for(
    started: list[Backbone], photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REWRITES, "0")
    settings = settings_of(photos, tmp_path / "out", "--backbone=MobileNet,MobileNetV2")
    build_ahead(settings, [])
    plan = make_plan(settings, Where())
    assert [backbone.key for backbone in started] == [target.backbone.key for target in plan.targets]


def test_nothing_is_built_ahead_where_another_machine_may_embed_or_weights_must_be_copied(
    started: list[Backbone],
) -> None:
    build_ahead(settings_with(), ["--runner=DataflowRunner"])
    build_ahead(settings_with("--weights=gs://b/a.h5"), [])
    assert started == []


def test_a_whole_model_is_the_backbone(tmp_path: pathlib.Path) -> None:
    keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Rescaling(0.1), keras.layers.Flatten()]).save(
        tmp_path / "mine.keras"
    )
    settings = settings_with(f"--model={tmp_path}/mine.keras", "--pooling=max", "--normalize", "--trust_model")
    (backbone,) = backbones_of(settings, Where())
    assert (backbone.name, backbone.size, backbone.pooling) == ("mine.keras", (32, 32), "max")
    assert backbone.normalize
    assert backbone.trust_model
    (elsewhere,) = backbones_of(settings, Where(Runner.DATAFLOW))
    assert elsewhere.engine == "auto"
