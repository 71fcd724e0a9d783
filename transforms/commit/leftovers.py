"""What runs leave that end early: finished parts for a later run to take over, and files that are to be removed."""

import contextlib
import enum
import json
import os
import time
from collections.abc import Sequence
from typing import Any

from transforms.collection.layout import (
    LOCK,
    is_made_by_runs,
    is_part,
    is_scratch,
    name_of,
    owner_path,
    path_of,
    run_of,
)
from transforms.collection.manifest import named_files, stands
from transforms.commit import liveness
from transforms.commit.claims import is_held, mark_ended, owner_of
from transforms.core.errors import UsageError, one_line
from transforms.storage.files import delete, files_below, read_whole
from transforms.storage.paths import scheme_of
from transforms.storage.versions import exclusive

PARTS_LAST = 7 * 86_400.0
"""Seconds after which the parts of a run that ended early are removed, if no run has taken them over."""


class Ended(enum.Enum):
    """What is left of a run that was ended: all, since it is committed; its finished parts; or nothing."""

    COMMITTED = "committed"
    WITH_PARTS = "with parts"
    REMOVED = "removed"


def end(output: str, run_id: str, keep_parts: bool = False) -> Ended:
    """End a run early, unless it is committed, and remove what it wrote to an output folder.

    From then on it cannot be committed any more, whatever still runs.

    Args:
      output: the folder.
      run_id: the run's id.
      keep_parts: whether its finished parts stay, so that a later run takes them over.
    """
    # Without its claim, a run has either ended or never begun.
    held, keep_parts = is_held(output, run_id), keep_parts and owner_of(output, run_id) is not None
    with exclusive(path_of(output, LOCK)) if held else contextlib.nullcontext():
        if stands(output, run_id):
            return Ended.COMMITTED
        if not keep_parts:
            delete([owner_path(output, run_id)])
        elif held:
            mark_ended(output, run_id)
    names = {m.path: name_of(m.path, output) for m in files_below(output)}
    mine = {path: name for path, name in names.items() if run_of(name) == run_id}
    parts = [path for path, name in mine.items() if keep_parts and is_part(name)]
    kept = {*parts, *([owner_path(output, run_id)] if parts else [])}
    remove(output, [path for path in mine if path not in kept])
    _remove_empty_folders(output)
    return Ended.WITH_PARTS if parts else Ended.REMOVED


def ended_runs(output: str, fingerprint: str, resume: str = "") -> dict[str, list[str]]:
    """Return the finished parts of runs that ended early and made the same embeddings, newest run first.

    Args:
      output: the folder.
      fingerprint: the fingerprint of the embedding spec.
      resume: a run whose claim says nothing of whether it has ended; '' for none.

    Returns:
      Paths below the folder, by run.

    Raises:
      UsageError: the run to resume is at work, left nothing, or made other embeddings.
    """
    found: dict[str, list[str]] = {}
    for run, files in sorted(_by_run(output).items(), reverse=True):
        parts = [name for name in (name_of(m.path, output) for m in files) if is_part(name)]
        if not parts and run != resume:
            # Most are the runs that made the collection, of whose claims storage need not be asked.
            continue
        owner = owner_of(output, run)
        same = liveness.fingerprint_of(owner) == fingerprint
        if run == resume:
            if liveness.is_fresh(owner, _idle(files)):
                raise UsageError(f"--resume {run}: that run wrote or renewed its claim lately; end it, or wait an hour")
            if not same:
                raise UsageError(f"--resume {run}: that run made other embeddings; give the flags that it had")
        elif not same or _is_alive(output, run, files):
            continue
        if parts:
            found[run] = parts
    if resume and resume not in found:
        raise UsageError(f"--resume {resume}: there are no finished parts of such a run in {output}")
    return found


def sweep(output: str, run_id: str, taken_over: Sequence[str] = (), keep_parts: bool = False) -> list[str]:
    """Remove what dead runs left behind, and this run's scratch folder.

    Args:
      output: the folder.
      run_id: the id of the run that stands.
      taken_over: runs of which it has taken over what they had finished.
      keep_parts: whether the finished parts of others stay for a while.

    Returns:
      What could not be removed, a line per run.
    """
    by_run = _by_run(output)
    # After the list, so that no run has been committed in between whose files are in it.
    named, left = named_files(output), []
    for run, files in by_run.items():
        try:
            files = [m for m in files if name_of(m.path, output) not in named]
            if run == run_id:
                files = [m for m in files if is_scratch(name_of(m.path, output))]
            elif run not in taken_over and _is_alive(output, run, files):
                continue
            elif keep_parts and run not in taken_over and _idle(files) < PARTS_LAST:
                files = _but_parts(output, run, files)
            remove(output, [m.path for m in files])
        except Exception as e:
            left.append(f"what run {run} left in {output} cannot be removed: {one_line(e)}")
    _remove_empty_folders(output)
    return left


def remove(output: str, paths: list[str]) -> None:
    """Remove files of an output folder, and the folders below it that are then empty."""
    claims = [path for path in paths if path == owner_path(output, run_of(name_of(path, output)))]
    delete([path for path in paths if path not in claims])
    # Last, so that a run that is killed meanwhile is known to be dead.
    delete(claims)
    if not scheme_of(output):
        folders = {os.path.dirname(path) for path in paths} - {output.rstrip("/")}
        for folder in sorted(folders, reverse=True):
            # Another run may have put a file there, or removed the folder.
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def _remove_empty_folders(output: str) -> None:
    """Remove folders without files, which runs left that were killed when they had made or emptied one."""
    if not scheme_of(output):
        with contextlib.suppress(OSError), os.scandir(output) as entries:
            for entry in entries:
                if is_made_by_runs(entry.name):
                    with contextlib.suppress(OSError):
                        os.rmdir(entry.path)


def _by_run(output: str) -> dict[str, list[Any]]:
    """Return the metadata of all files in a folder that runs wrote, by run."""
    found: dict[str, list[Any]] = {}
    for metadata in files_below(output):
        found.setdefault(run_of(name_of(metadata.path, output)), []).append(metadata)
    found.pop("", None)
    return found


def _but_parts(output: str, run: str, files: list[Any]) -> list[Any]:
    """Return files without the finished parts among them, and the claim that says whose they are."""
    if not any(is_part(name_of(m.path, output)) for m in files):
        return files
    kept = owner_path(output, run)
    return [m for m in files if m.path != kept and not is_part(name_of(m.path, output))]


def _idle(files: list[Any]) -> float:
    """Return the seconds since the newest of some files was written."""
    return time.time() - max((m.last_updated_in_seconds or 0.0 for m in files), default=0.0)


def _is_alive(output: str, run: str, files: list[Any]) -> bool:
    if not any(is_scratch(name_of(m.path, output)) for m in files):
        return False
    claimed = owner_path(output, run)
    owner = None
    if claimed in [m.path for m in files]:
        try:
            owner = json.loads(read_whole(claimed))
        except FileNotFoundError:
            # The run has just ended: its remaining files are those of a finished run.
            return True
        except ValueError:
            owner = None
    return liveness.is_alive(owner, _idle(files))
