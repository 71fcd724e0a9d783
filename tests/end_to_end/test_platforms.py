"""The main job where a platform lacks what Linux has: it needs neither `fcntl` nor `fork` nor `/proc`."""

import json
import os
import pathlib
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from tests.pipelines.conftest import LIGHT

HIDDEN = """
import builtins, os, signal, sys

for module in ("fcntl", "resource", "termios", "pwd", "grp"):
    sys.modules[module] = None
for name in ("fork", "forkpty", "getuid", "geteuid", "O_NONBLOCK", "O_NOCTTY", "fstatvfs", "statvfs"):
    delattr(os, name)
for name in ("SIGHUP", "pthread_sigmask"):
    delattr(signal, name)

def hiding_proc(function):
    def look(path, *arguments, **options):
        if str(path).startswith("/proc"):
            raise FileNotFoundError(path)
        return function(path, *arguments, **options)
    return look

builtins.open = hiding_proc(builtins.open)
for name in ("readlink", "stat", "listdir", "scandir"):
    setattr(os, name, hiding_proc(getattr(os, name)))

from pipelines.command import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
def test_the_main_job_needs_nothing_that_only_linux_has(
    engine: str, photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Twice, since the second run takes the lock, the cache and the folder of the first; what stands is whole."""
    command = [sys.executable, "-c", HIDDEN, "--input", str(photos), "--output", str(tmp_path / "out"), *LIGHT]
    environment = {**os.environ, "EMBED_IMAGES_CACHE": str(tmp_path / "cache")}
    for flags in ([], ["--existing=replace"]):
        ended = subprocess.run(
            [*command, "--engine", engine, *flags], env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["counts"]["embedded"] == 10
    files = [tmp_path / "out" / file["name"] for file in manifest["files"] if file["name"].startswith("parquet/")]
    assert sum(pq.read_metadata(file).num_rows for file in files) == 10
    assert sorted(path for path in (tmp_path / "out" / "parquet").iterdir()) == files
