"""Tests of `transforms.storage.locks`, with processes that hold one."""

import pathlib
import subprocess
import sys

from transforms.storage.locks import is_lockable, locked

COUNT = """
import pathlib, sys, time
from transforms.storage.locks import locked
total = pathlib.Path(sys.argv[1])
for _ in range(40):
    with locked(sys.argv[1] + ".lock"):
        value = int(total.read_text())
        time.sleep(0.001)
        total.write_text(str(value + 1))
"""


def test_one_process_at_a_time_holds_a_lock(tmp_path: pathlib.Path) -> None:
    total = tmp_path / "total"
    total.write_text("0")
    workers = [subprocess.Popen([sys.executable, "-c", COUNT, str(total)]) for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert total.read_text() == "120"


def test_the_lock_of_a_killed_process_is_free(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "lock")
    hold = (
        "import sys, time\nfrom transforms.storage.locks import locked\n"
        "with locked(sys.argv[1]):\n print('held', flush=True)\n time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
    with locked(path):
        assert (tmp_path / "lock").exists()
    assert not (tmp_path / "lock").exists()


def test_a_file_in_no_folder_cannot_be_locked(tmp_path: pathlib.Path) -> None:
    assert not is_lockable(str(tmp_path / "none" / "lock"))
    assert is_lockable(str(tmp_path / "lock"))
