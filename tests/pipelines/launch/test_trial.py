"""A trial of the first images of a plan: what becomes of each, and how fast this machine is."""

import pathlib

import numpy as np
import pytest

from pipelines.launch.trial import TRIED, Trial, try_first_images
from pipelines.plan.plan import Plan, make_plan
from pipelines.plan.run_stats import Speed
from pipelines.plan.runner import Runner, Where
from tests.pipelines.conftest import files_in, settings_of
from transforms import ImageFacts, ImageUri, Pixels
from transforms.embed.batches import BatchEmbedder


@pytest.fixture
def listed(photos: pathlib.Path) -> pathlib.Path:
    """A uri list: a photo, one that is broken, one that is missing, an empty row, and six more photos."""
    (photos / "bad.jpg").write_bytes(b"bad")
    paths = [str(path) for path in sorted(photos.rglob("?.jpg"))[:7]]
    rows = ["uri,label", f"{paths[0]},1", "bad.jpg,2", "missing.jpg,3", ",4", *(f"{path},5" for path in paths[1:])]
    (photos / "list.csv").write_text("\n".join(rows) + "\n")
    return photos / "list.csv"


def planned(source: pathlib.Path, *flags: str, where: Where | None = None) -> Plan:
    return make_plan(settings_of(source, source.parent / "../out", *flags), where or Where())


def test_the_first_images_are_tried_and_all_are_counted(photos: pathlib.Path) -> None:
    trial, lines = try_first_images(planned(photos))
    assert (trial.inputs, trial.tried) == (10, TRIED)
    # Lines are said while images are read, not before.
    assert trial.pixels == []
    said = list(lines)
    first = sorted(photos.rglob("*.jpg"))[:TRIED]
    assert [line.partition(": ")[0] for line in said] == [f"  read    {path}" for path in first]
    assert said[0].endswith(": 336 x 248 JPEG")
    assert trial.sizes == [path.stat().st_size for path in first]
    assert (len(trial.pixels), len(trial.decoding)) == (TRIED, TRIED)


def test_an_image_that_is_lost_is_said_with_its_reason_and_a_row_without_one_is_counted(listed: pathlib.Path) -> None:
    trial, lines = try_first_images(planned(listed))
    said = list(lines)
    # The row without a uri can't be tried.
    assert (trial.inputs, trial.tried, len(said)) == (10, TRIED, TRIED)
    assert said[0].startswith(f"  read    {listed.parent}/")
    assert said[1].startswith(f"  failed  {listed.parent}/bad.jpg: ")
    assert said[2].startswith(f"  failed  {listed.parent}/missing.jpg: not_found: ")
    assert said[3].startswith(f"  read    {listed.parent}/")
    assert (len(trial.pixels), len(trial.sizes)) == (3, 4)


def test_what_lies_before_the_images_of_a_folder_does_not_hide_them(photos: pathlib.Path) -> None:
    for i in range(2 * TRIED):
        (photos / f"{i}.json").write_text("{}")
    trial, lines = try_first_images(planned(photos))
    assert (trial.inputs, trial.tried, len(list(lines))) == (10 + 2 * TRIED, TRIED, TRIED)


def test_fewer_inputs_than_are_tried_are_all_tried(photos: pathlib.Path) -> None:
    trial, lines = try_first_images(planned(photos / "a" / "1.jpg"))
    assert (trial.inputs, trial.tried, len(list(lines))) == (1, 1, 1)


@pytest.mark.exhaustive
def test_each_backbone_embeds_what_was_decoded(photos: pathlib.Path) -> None:
    plan = planned(photos, "--backbone=MobileNet,MobileNetV2")
    trial, lines = try_first_images(plan)
    assert [trial.embed(plan, target) for target in plan.targets] == [0, 0]
    assert len(list(lines)) == TRIED
    assert [trial.embed(plan, target) for target in plan.targets] == [TRIED, TRIED]
    assert files_in(plan.targets[0].output) == []


def test_a_backbone_of_another_machine_is_tried_in_float32(photos: pathlib.Path) -> None:
    plan = planned(photos, "--precision=float16", where=Where(Runner.DATAFLOW))
    trial, lines = try_first_images(plan)
    assert len(list(lines)) == TRIED
    assert trial.embed(plan, plan.targets[0]) == TRIED


class Timed:
    """An engine that notes how many images it was given."""

    device, device_memory, devices, batches_in_flight = "CPU", 0, 1, 1

    def __init__(self) -> None:
        self.given: list[int] = []

    def __call__(self, batch: np.ndarray, index: int = 0) -> np.ndarray:
        self.given.append(len(batch))
        return batch.reshape(len(batch), -1)[:, :2].astype(np.float32)


def test_the_speed_is_the_median_of_decoding_and_a_second_forward_pass_of_each_backbone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels = [Pixels(ImageUri("a"), ImageFacts(2, 2, "PNG", "00"), {(2, 2): np.zeros((2, 2, 3), np.uint8)})] * 3
    engines = [Timed(), Timed()]
    trial = Trial(10, 3, pixels, [100] * 3, [0.5, 0.1, 0.3], [BatchEmbedder(e, (2, 2), 5) for e in engines])
    # A pass of the first backbone takes 4 s, one of the second 8.
    clock = iter([10.0, 14.0, 20.0, 28.0])
    monkeypatch.setattr("pipelines.launch.trial.time.perf_counter", lambda: next(clock))
    monkeypatch.setattr("pipelines.launch.trial.os.cpu_count", lambda: 2)
    assert trial.speed() == Speed(decode=0.3, forward=(4 * 2 + 8 * 2) / 8)
    assert [engine.given for engine in engines] == [[8, 8], [8, 8]]
