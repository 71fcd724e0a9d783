"""Completion: what a shell is answered, by the protocol of argcomplete, and without any library."""

import os
import subprocess
import sys

import pytest

from pipelines.console.completion import complete_if_asked
from pipelines.options.flags import parser


def completed(line: str) -> list[str]:
    """Return what a shell would offer behind a line."""
    # The protocol's file descriptor is 8.
    module = "pipelines.options.commands.explain" if line.startswith("explain") else "pipelines.options.flags"
    code = (
        "import os, sys\nout = os.dup(1)\nos.dup2(out, 8)\nfrom pipelines.console.completion import complete_if_asked\n"
        f"from {module} import parser\n"
        "complete_if_asked(parser)\nsys.exit('it was not answered')"
    )
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("embed-images --uri", ["--uri_column"]),
        ("embed-images --pooling ", ["avg", "max", "flatten", "cls"]),
        ("embed-images --backbone VGG16,ResNet50", ["VGG16,ResNet50", "VGG16,ResNet50V2"]),
        ("embed-images --gpu nvidia-l", ["nvidia-l4"]),
        ("embed-images --output_format parquet,t", ["parquet,tfrecord"]),
        ("embed-images --normalize t", ["true"]),
        ("embed-images --batch_size ", []),
        ("explain-image --ou", ["--out"]),
        ("explain-image --resize p", ["pad"]),
    ],
)
def test_a_shell_is_offered_flags_and_values(line: str, offered: list[str]) -> None:
    assert sorted(completed(line)) == sorted(offered)


def test_a_path_is_completed_from_the_disk(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    os.mkdir("photos")
    assert completed("embed-images --input pho") == ["photos/"]


def test_nothing_is_done_unless_a_shell_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("_ARGCOMPLETE", raising=False)
    complete_if_asked(parser)
