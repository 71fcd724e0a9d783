"""A run's claim on its output folder, and what becomes of the files of runs that ended otherwise than well.

Each run has an id, which is in the names of its files, and a scratch folder of its own, in which it says who it is.
"""

import contextlib
import datetime
import glob
import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms.storage.files import delete
from transforms.storage.gcs import put as put_object
from transforms.write.shards import EMBEDDINGS_PREFIX, FAILURES_PREFIX, SCRATCH, scratch_folder

OWNER = "owner.json"
ABANDONED_AFTER = 24 * 3600
"""Seconds without a change after which another machine's run counts as dead."""

_OUTPUT = re.compile(
    rf"(?:{EMBEDDINGS_PREFIX}|{FAILURES_PREFIX})-(?P<run>[^/]+)-\d{{5,}}-of-\d{{5,}}\.(?:parquet|tfrecord\.gz|jsonl)"
)


def now() -> str:
    """Return the time in ISO 8601, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def new_run_id() -> str:
    """Return an id for a run: the time, so that names sort, and a random part, so that two never meet."""
    return f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}-{os.urandom(3).hex()}"


def put(text: str, folder: str, name: str, scratch: str, generation: int | None = None) -> None:
    """Write a small file so that it is there wholly or not at all.

    Args:
      generation: of the object that may be replaced, 0 for none; None replaces whatever is there.

    Raises:
      LostRaceError: another object is there.
    """
    path = FileSystems.join(folder, name)
    if generation is not None:
        put_object(path, text.encode(), generation)
        return
    # An object appears when its upload ends; a local file would be seen growing.
    partial = FileSystems.join(scratch, name) if "://" not in folder else path
    with FileSystems.create(partial, "application/json", CompressionTypes.UNCOMPRESSED) as f:
        f.write(text.encode())
    if partial != path:
        FileSystems.rename([partial], [path])


def claim(output: str, run_id: str, local: bool) -> None:
    """Leave word in the run's scratch folder of who runs, so that no other run sweeps it away.

    Raises:
      OSError, or what the filesystem raises: the folder cannot be written to.
    """
    scratch = scratch_folder(output, run_id)
    owner = {"host": socket.gethostname() if local else "", "pid": os.getpid(), "started": now()}
    if "://" not in output:
        os.makedirs(scratch, exist_ok=True)
    with FileSystems.create(FileSystems.join(scratch, OWNER), "application/json") as f:
        f.write(json.dumps(owner).encode())


def files_below(folder: str) -> list[Any]:
    """List the metadata of all files in a folder and its scratch folders."""
    pattern = FileSystems.join(glob.escape(folder), "**")
    return [m for result in FileSystems.match([pattern]) for m in result.metadata_list]


_abandoned: set[str] = set()
_committing = threading.Lock()


@contextlib.contextmanager
def committing(run_id: str) -> Iterator[None]:
    """Hold off `abandon` while a manifest is put; refuse to put one for a run that was abandoned."""
    with _committing:
        if run_id in _abandoned:
            raise RuntimeError(f"run {run_id} was abandoned")
        yield


def abandon(run_id: str) -> None:
    """See to it that this process puts no further manifest for a run."""
    with _committing:
        _abandoned.add(run_id)


def discard(output: str, run_id: str) -> None:
    """Remove all that a run wrote, when it was abandoned before its manifest stood."""
    _remove(output, [m.path for m in files_below(output) if _run_of(_relative(m.path, output)) == run_id])


def _relative(path: str, output: str) -> str:
    return path[len(output.rstrip("/")) + 1 :]


def _run_of(name: str) -> str:
    """Return the id of the run that a file of the output folder belongs to, '' for files that are no run's."""
    if name.startswith(SCRATCH):
        return name[len(SCRATCH) :].partition("/")[0]
    match = _OUTPUT.fullmatch(name)
    return match["run"] if match else ""


def _remove(output: str, paths: list[str]) -> None:
    delete(paths)
    if "://" not in output:
        for parent in sorted({os.path.dirname(path) for path in paths}, reverse=True):
            if _run_of(_relative(parent + "/", output)) and os.path.isdir(parent) and not os.listdir(parent):
                os.rmdir(parent)


def sweep(output: str, run_id: str) -> None:
    """Remove what other runs left behind, unless they are still alive; then this run's scratch folder."""
    by_run: dict[str, list[Any]] = {}
    for metadata in files_below(output):
        by_run.setdefault(_run_of(_relative(metadata.path, output)), []).append(metadata)
    by_run.pop("", None)
    for run, files in by_run.items():
        if run == run_id:
            files = [m for m in files if _relative(m.path, output).startswith(SCRATCH)]
        elif _alive(output, run, files):
            continue
        _remove(output, [m.path for m in files])


def _alive(output: str, run: str, files: list[Any]) -> bool:
    owner_path = FileSystems.join(scratch_folder(output, run), OWNER)
    if owner_path not in [m.path for m in files]:
        return False
    try:
        with FileSystems.open(owner_path) as f:
            owner = json.loads(f.read() or b"{}")
    except FileNotFoundError:
        # It has just ended: what stays of it is a finished run's.
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
