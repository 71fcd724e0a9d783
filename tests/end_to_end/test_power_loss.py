"""Power that is lost when a run has just ended, or anywhere before: what the block device holds then is read."""

import contextlib
import itertools
import pathlib
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.end_to_end.test_crashes import command, finished, images, standing
from tests.forked_runs import ForkedRuns

__all__ = ["finished", "images"]

MEGABYTES = 64
ATTEMPTS = 100


@contextlib.contextmanager
def mounted(device: pathlib.Path, folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Mount a file that holds an ext4 filesystem."""
    folder.mkdir(exist_ok=True)
    mount = subprocess.run(["mount", "-o", "loop", device, folder], capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f"no filesystem can be mounted here: {mount.stderr.strip()}")
    try:
        yield folder
    finally:
        # Threads of Arrow may close what was read a moment later.
        for left in reversed(range(ATTEMPTS)):
            if not subprocess.run(["umount", folder], check=not left).returncode:
                break
            time.sleep(0.1)


@pytest.fixture
def device(tmp_path: pathlib.Path) -> pathlib.Path:
    """A file that holds an empty ext4 filesystem."""
    if not shutil.which("mkfs.ext4"):
        pytest.skip("mkfs.ext4 is not installed")
    path = tmp_path / "device"
    with open(path, "wb") as f:
        f.truncate(MEGABYTES << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", path], check=True)
    return path


@pytest.mark.exhaustive
@pytest.mark.parametrize("format_", ["parquet", "tfrecord"])
def test_after_a_loss_of_power_the_old_run_stands_or_the_new_one(
    forked: ForkedRuns,
    images: pathlib.Path,
    finished: pathlib.Path,
    device: pathlib.Path,
    tmp_path: pathlib.Path,
    format_: str,
) -> None:
    """And after exit code 0 the new one. The device is copied at once, without what only memory holds. (1b)"""
    lost = tmp_path / "lost"
    for n in itertools.count(1, 3):
        with mounted(device, tmp_path / "mounted") as folder:
            output = folder / "out"
            shutil.rmtree(output, ignore_errors=True)
            shutil.copytree(finished, output)
            old = standing(output)
            subprocess.run(["sync", "-f", folder], check=True)
            argv = command(images, output, f"--output_format={format_}", "--existing=replace")
            ((code, errors),) = forked({"argv": argv, "kill_at": n, "below": str(output)})
            shutil.copyfile(device, lost)
            assert code in (-9, 0), errors
            seen = standing(output)
        with mounted(lost, tmp_path / "after") as folder:
            after = standing(folder / "out")
        assert after in ({seen} if code == 0 else {old, seen}), n
        if code == 0:
            break
    assert seen != old


@pytest.mark.exhaustive
def test_after_exit_code_0_a_loss_of_power_loses_nothing_of_a_first_run(
    forked: ForkedRuns, images: pathlib.Path, device: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Though its folder is new, and lies in new folders. (1b)"""
    with mounted(device, tmp_path / "mounted") as folder:
        output = folder / "new" / "folder" / "out"
        assert forked({"argv": command(images, output, "--output_format=parquet,tfrecord")}) == [(0, "")]
        shutil.copyfile(device, tmp_path / "lost")
        seen = standing(output)
    with mounted(tmp_path / "lost", tmp_path / "after") as folder:
        assert standing(folder / "new" / "folder" / "out") == seen != ""
