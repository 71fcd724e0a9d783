"""A run that would fill its disk is refused before any work."""

import pathlib
import shutil
from typing import Any

import pytest

from pipelines.command import main
from pipelines.plan.disk import AT_ONCE, bytes_of, check_disk, free_bytes
from tests.pipelines.conftest import LIGHT
from transforms import Backbone, embedding_spec
from transforms.core.errors import UsageError

SPEC = embedding_spec(Backbone("MobileNet", weights="random", backbone_kwargs={"alpha": 0.25}, image_size=(32, 32)))


def with_free(free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    usage: Any = shutil.disk_usage("/")._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


def test_the_bytes_of_rows_are_near_those_that_are_written(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert main(["--input", str(photos), "--output", str(tmp_path / "out"), *LIGHT]) == 0
    (file,) = (tmp_path / "out" / "parquet").iterdir()
    # A file of ten rows is mostly schema.
    assert 10 * 256 * 4 < bytes_of([SPEC], 10, 1) < file.stat().st_size < 3 * bytes_of([SPEC], 10, 1)
    assert bytes_of([SPEC, SPEC], 10, 2) == 4 * bytes_of([SPEC], 10, 1)


def test_the_disk_is_that_of_the_next_folder_that_is_there(tmp_path: pathlib.Path) -> None:
    there = shutil.disk_usage(tmp_path).total
    for output in (str(tmp_path), str(tmp_path / "a" / "b"), (tmp_path / "a").as_uri()):
        free = free_bytes(output)
        assert free is not None
        assert 0 < free <= there
    assert free_bytes("gs://bucket/out") is None


def test_what_fits_is_taken_and_what_does_not_is_refused(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_free(AT_ONCE * bytes_of([SPEC], 1000, 1), monkeypatch)
    check_disk(str(tmp_path), [SPEC], 1000, 1)
    check_disk("gs://bucket/out", [SPEC], 10**9, 1)
    with pytest.raises(UsageError, match=r"1,001 images take about 0\.0 GB while they are written"):
        check_disk(str(tmp_path), [SPEC], 1001, 1)


def test_the_command_refuses_a_list_whose_rows_do_not_fit(
    photos: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uris = tmp_path / "list.txt"
    uris.write_text("".join(f"{path}\n" for path in photos.rglob("*.jpg")))
    with_free(1000, monkeypatch)
    assert main(["--input", str(uris), "--output", str(tmp_path / "out"), *LIGHT]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"embed-images: --output {tmp_path / 'out'}: 10 images take about 0.0 GB")
    assert not (tmp_path / "out").exists()
