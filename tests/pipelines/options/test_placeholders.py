"""What a schedule leaves open: the day and the run, in the paths of inputs and output."""

import pathlib
import re

import pytest

from pipelines.command import main
from pipelines.options.placeholders import filled, filled_output
from transforms.collection.layout import new_run_id
from transforms.collection.manifest import read_manifest
from transforms.core.errors import UsageError

RUN = "20261123T170102-a1b2c3"


def test_the_day_and_the_run_are_filled_in_wherever_they_stand() -> None:
    inputs = ("gs://in/{date}/*.jpg", "gs://in/new-{date}-{date}.csv")
    assert filled(inputs, RUN) == ("gs://in/2026-11-23/*.jpg", "gs://in/new-2026-11-23-2026-11-23.csv")
    assert filled_output("gs://out/{date}/{run}", RUN) == f"gs://out/2026-11-23/{RUN}"


def test_other_braces_of_an_input_are_part_of_its_name() -> None:
    assert filled(["photos/{1} {dates}.jpg"], RUN) == ("photos/{1} {dates}.jpg",)
    assert filled_output("out", RUN) == "out"


@pytest.mark.parametrize("name", ["{Date}", "{day}", "{}"])
def test_an_output_that_would_be_the_same_every_night_by_a_misspelling_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"--output has .* which is none of \{date\}, \{run\}"):
        filled_output(f"out/{name}", RUN)


def test_two_runs_of_a_day_agree_in_the_day_alone() -> None:
    one, other = (filled_output("{date}/{run}", new_run_id()) for _ in range(2))
    assert re.fullmatch(r"(\d{4}-\d\d-\d\d)/\d{8}T\d{6}-[0-9a-f]{6}", one)
    assert one != other


def test_a_run_writes_to_the_folder_of_its_own_id(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    light = ["--weights=random", "--backbone=MobileNet", "--image_size=32"]
    assert main([f"--input={photos}", f"--output={tmp_path}/out/{{date}}/{{run}}", *light]) == 0
    (folder,) = (tmp_path / "out").glob("*/*")
    manifest = read_manifest(str(folder))
    assert manifest is not None
    assert folder.name == manifest["run_id"]
    assert folder.parent.name.replace("-", "") == manifest["run_id"][:8]
