"""Files of a folder that are no images by their suffix: one outcome each, and left alone by every run."""

import json
import pathlib

import pytest

from pipelines.command import main
from pipelines.console.exit_codes import OVER_BUDGET
from tests.pipelines.conftest import LIGHT
from transforms.collection.manifest import Manifest, read_manifest


def manifest_of(folder: pathlib.Path) -> Manifest:
    found = read_manifest(str(folder))
    assert found
    return found


@pytest.mark.exhaustive
def test_other_files_are_failures_that_no_retry_fetches(
    photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = {photos / "a.MOV", photos / "a" / "b.json", photos / "Thumbs.db"}
    for path in others:
        path.write_bytes(b"x")
    (photos / "broken.jpg").write_bytes(b"x")
    output = tmp_path / "out"
    command = ["--input", str(photos), "--input", str(photos / "a"), "--output", str(output), *LIGHT]
    for flags, counts, known in (
        ([], {"inputs": 20, "embedded": 10, "failed": 4, "skipped": 0, "duplicates": 6}, 0),
        (["--retry", "all"], {"inputs": 20, "embedded": 0, "failed": 4, "skipped": 10, "duplicates": 6}, 0),
        (["--remove_missing"], {"inputs": 20, "embedded": 0, "failed": 4, "skipped": 10, "duplicates": 6}, 1),
    ):
        assert main([*command, "--existing=update", *flags]) == 0
        manifest = manifest_of(output)
        assert manifest["counts"] == counts
        assert manifest["changes"]["known_failures"] == known
        assert manifest["failures"]["other_file"]["count"] == len(others)
        lines = [json.loads(line) for path in output.glob("failures/*") for line in path.read_text().splitlines()]
        assert sorted(row["uri"] for row in lines if row["reason"] == "other_file") == sorted(map(str, others))
        assert len(lines) == 4
        assert "  others    3 of the failed are no images by their suffix" in capsys.readouterr().out
    (photos / "1.jpg").unlink(missing_ok=True)
    (photos / "a" / "1.jpg").unlink()
    # Other files do not stand for uris that could not be read.
    assert main([*command, "--existing=update", "--remove_missing"]) == 0
    assert manifest_of(output)["changes"]["removed"] == 1


def test_a_folder_of_other_files_alone_is_over_every_budget(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("/x.jpg")
    assert main(["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out"), *LIGHT]) == OVER_BUDGET
    printed = capsys.readouterr().out
    assert "retry the failures" not in printed
