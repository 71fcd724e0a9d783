"""Runs that are killed at any point, and runs that race: the old run stands or the new one, whole and alone."""

import itertools
import json
import pathlib
import shutil

import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.conftest import sample_image
from tests.forked_runs import ForkedRuns

LIGHT = ["--weights", "random", "--backbone", "MobileNet", "--backbone_kwargs", '{"alpha": 0.25}', "--image_size", "32"]
LIGHT += ["--engine", "tensorflow", "--num_shards", "2"]
IMAGES = 5
AT_ONCE = 4
"""Runs that are killed at once, so that no processor waits."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("images")
    for i in range(IMAGES):
        sample_image(i, 40, 30).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def command(images: pathlib.Path, output: pathlib.Path, *flags: str) -> list[str]:
    return ["--input", str(images), "--output", str(output), *LIGHT, *flags]


def standing(output: pathlib.Path) -> str:
    """Return the run that stands, after reading all that its manifest names; '' if there is none."""
    path = output / "manifest.json"
    if not path.exists():
        return ""
    manifest = json.loads(path.read_text())
    rows = {"parquet": 0, "tfrecord": 0, "failures": 0}
    for file in manifest["files"]:
        whole = output / file["name"]
        assert whole.stat().st_size == file["bytes"]
        kind = file["name"].split("/")[0]
        if kind == "parquet":
            found = pq.read_table(whole).num_rows
        elif kind == "tfrecord":
            found = sum(1 for _ in tf.data.TFRecordDataset(str(whole), "GZIP"))
        else:
            found = len(whole.read_text().splitlines())
        assert found == file["rows"]
        rows[kind] += found
    assert max(rows["parquet"], rows["tfrecord"]) == manifest["counts"]["embedded"] == IMAGES
    assert rows["failures"] == manifest["counts"]["failed"] == 1
    return str(manifest["run_id"])


def alone(output: pathlib.Path, tfrecord: bool) -> bool:
    """Whether a folder has the files of the run that stands, and no others."""
    names = {file["name"] for file in json.loads((output / "manifest.json").read_text())["files"]}
    there = {path.relative_to(output).as_posix() for path in output.rglob("*") if not path.is_dir()}
    folders = {path.name for path in output.iterdir() if path.is_dir()}
    expected = {*names, "manifest.json", *(["tfrecord/features.json"] if tfrecord else [])}
    return there == expected and folders == {name.split("/")[0] for name in expected if "/" in name}


def killed(
    forked: ForkedRuns,
    images: pathlib.Path,
    finished: pathlib.Path | None,
    folder: pathlib.Path,
    format_: str,
    *numbers: int,
) -> list[bool]:
    """Kill runs at their n-th change, look at what there is, and run them again; return which were killed."""
    outputs = {n: folder / f"out-{n}" for n in numbers}
    argv = {n: command(images, out, f"--output_format={format_}", "--existing=replace") for n, out in outputs.items()}
    old = ""
    if finished:
        old = standing(finished)
        for output in outputs.values():
            shutil.copytree(finished, output)
    ends = forked(*({"argv": argv[n], "kill_at": n, "below": str(outputs[n])} for n in numbers))
    seen = {n: standing(output) for n, output in outputs.items()}
    for n, (code, errors) in zip(numbers, ends, strict=True):
        assert code in (-9, 0), errors
        assert seen[n] or not finished, n
        assert code == -9 or seen[n] not in ("", old), n
    assert forked(*({"argv": argv[n]} for n in numbers)) == [(0, "")] * len(numbers), numbers
    for n, output in outputs.items():
        assert standing(output) not in (old, seen[n], ""), n
        assert alone(output, tfrecord=format_ == "tfrecord"), (n, sorted(output.rglob("*")))
        shutil.rmtree(output)
    return [code == -9 for code, _ in ends]


@pytest.fixture(scope="module")
def finished(forked: ForkedRuns, images: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The output of a run with both formats."""
    output = tmp_path_factory.mktemp("finished") / "out"
    assert forked({"argv": command(images, output, "--output_format=parquet,tfrecord")}) == [(0, "")]
    return output


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("format_", "replacing"), [("parquet", False), ("tfrecord", True)], ids=["fresh-parquet", "replacing-tfrecord"]
)
def test_a_run_that_is_killed_anywhere_leaves_the_old_run_or_the_new_one(
    forked: ForkedRuns,
    images: pathlib.Path,
    finished: pathlib.Path,
    tmp_path: pathlib.Path,
    format_: str,
    replacing: bool,
) -> None:
    """And the next one is whole, with nothing left beside it. (1a, 1c, 1f, 1h)"""
    for n in itertools.count(1, AT_ONCE):
        numbers = range(n, n + AT_ONCE)
        if not all(killed(forked, images, finished if replacing else None, tmp_path, format_, *numbers)):
            break
    assert n > 15


def race(forked: ForkedRuns, images: pathlib.Path, output: pathlib.Path, *flags: str) -> None:
    """Let two runs race, the second of which has more flags."""
    before = standing(output)
    # Which keeps no parts, either.
    replacing = command(images, output, "--existing=replace")
    first, second = replacing, [*replacing, *flags]
    ends = forked({"argv": first}, {"argv": second})
    assert sorted(code for code, _ in ends) == [0, 1], ends
    (told,) = [errors for code, errors in ends if code]
    run = standing(output)
    assert run not in (before, "")
    assert f"run {run} was committed to {output} meanwhile, and stands" in told
    assert alone(output, tfrecord=False)


def test_of_two_runs_one_is_committed(forked: ForkedRuns, images: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A sample of all races. (1a)"""
    race(forked, images, tmp_path / "out")


@pytest.mark.exhaustive
@pytest.mark.parametrize("flags", [(), ("--normalize",)], ids=["equal", "different"])
def test_of_two_runs_that_race_exactly_one_is_committed(
    forked: ForkedRuns, images: pathlib.Path, tmp_path: pathlib.Path, flags: tuple[str, ...]
) -> None:
    """Ten races: the first over a folder without a run, the others over the run before. (1a)"""
    for _ in range(10):
        race(forked, images, tmp_path / "out", *flags)


@pytest.mark.exhaustive
def test_a_slow_run_leaves_a_finished_one_alone(
    forked: ForkedRuns, images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """The slower one reads twenty times as many images. (1a)"""
    output, many = tmp_path / "out", tmp_path / "many"
    for i in range(20):
        shutil.copytree(images, many / str(i))
    slow, fast = forked({"argv": command(many, output)}, {"argv": command(images, output)})
    assert (slow[0], fast) == (1, (0, "")), slow
    assert f"run {standing(output)} was committed to {output} meanwhile, and stands" in slow[1]
    assert alone(output, tfrecord=False)
