"""What is checked before a run begins."""

import json
import os
import pathlib
from collections.abc import Iterator

import pytest

from pipelines.options.flags import parse
from pipelines.plan.plan import Plan, make_plan
from transforms.core.errors import UsageError


def planned(photos: pathlib.Path, output: pathlib.Path | str, *flags: str) -> Plan:
    light = ["--weights", "random", "--backbone", "MobileNet", "--image_size", "32"]
    return make_plan(parse(["--input", str(photos), "--output", str(output), *light, *flags])[0])


def test_a_plan_has_one_folder_for_one_backbone(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    plan = planned(photos, tmp_path / "out")
    (target,) = plan.targets
    assert target.output == str(tmp_path / "out")
    assert (target.spec.backbone, target.spec.dim, target.spec.weights) == ("MobileNet", 1024, "random")
    assert plan.image_sizes == ((32, 32),)
    assert not (tmp_path / "out").exists()


def test_several_backbones_have_a_folder_each_and_decode_for_the_largest(
    photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    arguments = ["--input", str(photos), "--output", str(tmp_path / "out"), "--weights", "random"]
    plan = make_plan(parse([*arguments, "--backbone", "mobilenet,EfficientNetB1"])[0])
    assert [target.output for target in plan.targets] == [
        str(tmp_path / "out" / name) for name in ("MobileNet", "EfficientNetB1")
    ]
    assert plan.image_sizes == ((224, 224), (240, 240))
    assert [target.spec.decoded_for for target in plan.targets] == [(240, 240)] * 2


def test_two_plans_have_different_runs(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert planned(photos, tmp_path / "out").run_id != planned(photos, tmp_path / "out").run_id


def test_a_relative_output_is_one_from_here(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert planned(photos, "o ut/").targets[0].output == str(tmp_path / "o ut")


@pytest.mark.parametrize(
    ("engine", "message"),
    [("auto", "TensorFlow sees no GPU here"), ("openvino", "needs --engine tensorflow, is openvino")],
)
def test_a_required_gpu_that_is_not_here_is_missed_at_once(
    engine: str, message: str, photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.backbones.engines.tensorflow.device", lambda: "CPU")
    with pytest.raises(UsageError, match=message):
        planned(photos, tmp_path / "out", "--require_gpu", "--engine", engine)


@pytest.mark.parametrize("inside", ["a", "a/new/deep", "."])
def test_an_output_inside_an_input_folder_is_refused(inside: str, photos: pathlib.Path) -> None:
    with pytest.raises(UsageError, match="lies in an --input folder"):
        planned(photos, photos / inside)


def test_an_output_beside_the_input_with_its_name_as_a_start_is_none_inside(photos: pathlib.Path) -> None:
    assert planned(photos, f"{photos}-embedded").targets[0].output == f"{photos}-embedded"


def test_a_finished_run_is_refused_unless_it_may_be_replaced(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text(json.dumps({"run_id": "old", "files": []}))
    with pytest.raises(UsageError, match="holds a finished run; choose another folder, or add --overwrite"):
        planned(photos, tmp_path / "out")
    assert planned(photos, tmp_path / "out", "--overwrite").targets


def test_a_manifest_that_is_none_is_not_taken_for_a_finished_run(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text("{half")
    with pytest.raises(UsageError, match="cannot read --output"):
        planned(photos, tmp_path / "out")


def test_an_output_below_a_file_is_refused(photos: pathlib.Path) -> None:
    with pytest.raises(UsageError, match=r"0\.jpg is not a folder"):
        planned(photos / "a", photos / "b" / "0.jpg" / "out")


@pytest.fixture
def locked(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder that this process's real user may not write to."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    user = os.getuid()
    # Permissions do not bind root, and os.access asks for the real user: as root, be another one for a while.
    if user == 0:
        os.setreuid(65534, -1)
    yield folder
    if user == 0:
        os.setreuid(0, -1)


def test_an_output_that_cannot_be_written_to_is_refused(photos: pathlib.Path, locked: pathlib.Path) -> None:
    with pytest.raises(UsageError, match=f"cannot write to --output {locked}/out: no permission in {locked}"):
        planned(photos, locked / "out")
    assert not (locked / "out").exists()
