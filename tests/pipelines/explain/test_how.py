"""How an image is embedded: by the flags, as a run with them would, or by a collection's spec."""

import json
import pathlib

import pytest

from pipelines.explain.how import How, how_of
from pipelines.options.commands.explain import parse
from pipelines.plan.plan import make_plan
from pipelines.plan.runner import Where
from pipelines.plan.stages import decode_of
from tests.pipelines.conftest import LIGHT, settings_of
from tests.pipelines.similar.conftest import Made
from transforms.core.errors import UsageError

OTHERS = ["--resize=pad", "--resize_filter=area", "--color_profile=apply", "--max_image_pixels=1000", "--pooling=max"]


def how(made: Made, *flags: object) -> How:
    return how_of(parse(["--input", str(made.photos / "0.jpg"), *map(str, flags)]))


@pytest.mark.parametrize("flags", [OTHERS, ["--central_fraction=0.875"]], ids=["others", "the middle"])
def test_flags_ask_for_what_a_run_with_them_does(flags: list[str], made: Made, tmp_path: pathlib.Path) -> None:
    plan = make_plan(settings_of(made.photos, tmp_path / "out", *flags), Where())
    found = how(made, *LIGHT, *flags)
    assert found.backbone == plan.targets[0].backbone
    assert found.decode == decode_of(plan).function
    assert found.spec() == plan.targets[0].spec


def test_a_collection_says_it_itself(made: Made) -> None:
    found = how(made, "--embeddings", made.folder, "--engine=tensorflow")
    manifest = json.loads((made.folder / "manifest.json").read_text())
    assert found.spec().fingerprint == manifest["embedding_spec_fingerprint"]
    assert (found.backbone.name, found.backbone.size, found.backbone.engine) == ("MobileNet", (32, 32), "tensorflow")
    assert found.embedder().loaded().computed.canary.decoding == manifest["canary"]["decoding"]


def test_weights_are_refused_where_the_collection_needs_none(made: Made) -> None:
    with pytest.raises(UsageError, match="these embeddings are of random weights; drop it"):
        how(made, "--embeddings", made.folder, "--weights=mine.h5")


def test_a_gpu_that_is_required_is_looked_for(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.plan.checks.device_of", lambda _: "CPU")
    for flags in (LIGHT, ["--embeddings", str(made.folder), "--engine=tensorflow"]):
        with pytest.raises(UsageError, match="--require_gpu: TensorFlow sees no GPU here"):
            how(made, *flags, "--require_gpu")
