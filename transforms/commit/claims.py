"""A run's claim on its output folder, and the removal of files that failed runs left behind.

Each run has an id, which is part of its file names, and a scratch folder of its own, in which a file names its owner.
"""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from apache_beam.io.filesystems import FileSystems

from transforms.collection.layout import is_scratch, name_of, owner_path, run_of, scratch_folder
from transforms.collection.manifest import now
from transforms.storage.files import delete, files_below
from transforms.storage.paths import scheme_of

ABANDONED_AFTER = 24 * 3600
"""Seconds without a change after which a run of another machine counts as dead."""


def claim(output: str, run_id: str, local: bool) -> None:
    """Write a run's owner into its scratch folder, so that no other run removes its files.

    Args:
      output: folder that the run writes to.
      run_id: the run's id.
      local: whether this process runs it, rather than another machine.

    Raises:
      OSError, or what the filesystem raises: the folder cannot be written to.
    """
    owner = {"host": socket.gethostname() if local else "", "pid": os.getpid(), "started": now()}
    if not scheme_of(output):
        os.makedirs(scratch_folder(output, run_id), exist_ok=True)
    with FileSystems.create(owner_path(output, run_id), "application/json") as f:
        f.write(json.dumps(owner).encode())


_abandoned: set[str] = set()
_committing = threading.Lock()


@contextlib.contextmanager
def committing(run_id: str) -> Iterator[None]:
    """Block `abandon` while a manifest is written; raise RuntimeError if the run was abandoned."""
    with _committing:
        if run_id in _abandoned:
            raise RuntimeError(f"run {run_id} was abandoned")
        yield


def abandon(run_id: str) -> None:
    """Keep this process from writing a manifest for a run from now on."""
    with _committing:
        _abandoned.add(run_id)


def discard(output: str, run_id: str) -> None:
    """Remove everything that a run wrote to an output folder; for runs that have no manifest yet."""
    _remove(output, [m.path for m in files_below(output) if run_of(name_of(m.path, output)) == run_id])


def _remove(output: str, paths: list[str]) -> None:
    delete(paths)
    if not scheme_of(output):
        folders = {os.path.dirname(path) for path in paths} - {output.rstrip("/")}
        for folder in sorted(folders, reverse=True):
            # Another run may have put a file there, or removed the folder.
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def sweep(output: str, run_id: str) -> None:
    """Remove what other runs left behind, unless they are alive, and this run's scratch folder."""
    by_run: dict[str, list[Any]] = {}
    for metadata in files_below(output):
        by_run.setdefault(run_of(name_of(metadata.path, output)), []).append(metadata)
    by_run.pop("", None)
    for run, files in by_run.items():
        if run == run_id:
            files = [m for m in files if is_scratch(name_of(m.path, output))]
        elif _alive(output, run, files):
            continue
        _remove(output, [m.path for m in files])


def _alive(output: str, run: str, files: list[Any]) -> bool:
    claimed = owner_path(output, run)
    if claimed not in [m.path for m in files]:
        return False
    try:
        with FileSystems.open(claimed) as f:
            owner = json.loads(f.read() or b"{}")
    except FileNotFoundError:
        # The run has just ended: its remaining files are those of a finished run.
        return True
    if owner.get("host") == socket.gethostname():
        return os.path.exists(f"/proc/{owner['pid']}") if os.path.isdir("/proc") else _signalled(owner["pid"])
    newest = max(m.last_updated_in_seconds or 0.0 for m in files)
    return time.time() - newest < ABANDONED_AFTER


def _signalled(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
