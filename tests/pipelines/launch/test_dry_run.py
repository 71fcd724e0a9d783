"""The report of a dry run: what would be read, made and written, from the first images; nothing is written."""

import dataclasses
import pathlib
import re
from collections.abc import Callable

import pytest

from pipelines.launch.dry_run import print_dry_run
from pipelines.launch.local import LocalLauncher
from pipelines.plan.plan import Plan, make_plan
from pipelines.plan.run_stats import Speed
from pipelines.plan.runner import Where
from tests.pipelines.conftest import files_in, settings_of
from transforms.core.errors import UsageError


@dataclasses.dataclass
class Elsewhere:
    """A launcher that needs something, and costs as much as this machine was measured to take."""

    measured: list[Speed] = dataclasses.field(default_factory=list)
    where = Where()

    def needs(self, plan: Plan) -> list[str]:
        return [f"a machine for {plan.run_id}"]

    def costs(self, images: int, measure: Callable[[], Speed]) -> list[str]:
        self.measured.append(measure())
        return [f"  cost      {images} images"]

    def run(self, *_: object) -> None:
        raise AssertionError("a dry run runs nothing")


def planned(photos: pathlib.Path, *flags: str) -> Plan:
    return make_plan(settings_of(photos, photos.parent / "out", *flags), Where())


def test_a_dry_run_on_this_machine_says_what_would_be_made(
    photos: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planned(photos, "--shard_bytes=15000")
    assert print_dry_run(plan, LocalLauncher([])) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "inputs    10, of which the first 5 are tried"
    assert [line[:9] for line in lines[1:6]] == ["  read   "] * 5
    assert lines[6] == "MobileNet: 5 of 5 embedded, 1024 x float32"
    # 10 vectors of 1024 numbers of 4 bytes, and 100 bytes beside each.
    assert lines[7] == f"  output  {photos.parent}/out: about 3 files, 0.0 MB before compression, each format"
    assert re.fullmatch(r"  disk    about 0\.1 MB while it is written, [\d,]+\.\d GB free", lines[8])
    assert lines[9].startswith("  schema  uri string, embedding ")
    assert lines[10:] == ["nothing was written; run it without --dry_run"]
    assert files_in(photos.parent / "out") == []


@pytest.mark.parametrize(
    ("flags", "files"),
    [(["--num_shards=7"], 7), (["--shard_bytes=21500"], 2), (["--shard_bytes=21500", "--embedding_dtype=float16"], 1)],
)
def test_the_number_of_files_is_the_one_that_is_asked_for_or_fills_them(
    flags: list[str], files: int, photos: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_dry_run(planned(photos, *flags), LocalLauncher([])) == 0
    assert f": about {files} files, " in capsys.readouterr().out


def test_each_backbone_has_its_lines_and_carried_columns_are_in_the_schema(
    photos: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "list.csv").write_text("uri,label\na/1.jpg,7\nb/2.jpg,8\n")
    plan = planned(photos / "list.csv", "--backbone=MobileNet,MobileNetV2", "--vector_type=fixed_size_list")
    assert print_dry_run(plan, LocalLauncher([])) == 0
    printed = capsys.readouterr().out
    assert "MobileNet: 2 of 2 embedded, 1024 x float32" in printed
    assert "MobileNetV2: 2 of 2 embedded, 1280 x float32" in printed
    assert printed.count(", label int64") == 2
    assert "embedding fixed_size_list<element: float not null>[1280]" in printed


def test_what_a_launcher_needs_comes_first_and_what_it_costs_last(
    photos: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, launcher = planned(photos), Elsewhere()
    assert print_dry_run(plan, launcher) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"a machine for {plan.run_id}"
    sizes = [path.stat().st_size for path in sorted(photos.rglob("*.jpg"))[:5]]
    assert lines[-3:-1] == [
        f"  read      about {2 * sum(sizes) / 1e9:,.2f} GB of images",
        "  cost      10 images",
    ]
    (speed,) = launcher.measured
    assert speed.decode > 0
    assert speed.forward > 0


def test_where_no_image_can_be_read_it_is_3_and_nothing_is_measured(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "bad.jpg").write_bytes(b"bad")
    launcher = Elsewhere()
    assert print_dry_run(planned(folder), launcher) == 3
    printed = capsys.readouterr().out
    assert f"  failed  {folder}/bad.jpg: " in printed
    assert "MobileNet: 0 of 0 embedded" in printed
    assert launcher.measured == []


def test_what_a_launcher_finds_wrong_ends_it_before_an_image_is_read(
    photos: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Wrong(Elsewhere):
        def needs(self, plan: Plan) -> list[str]:
            raise UsageError("give a larger --machine_type")

    with pytest.raises(UsageError, match="give a larger --machine_type"):
        print_dry_run(planned(photos), Wrong())
    assert capsys.readouterr().out == ""
