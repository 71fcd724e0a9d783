"""A run's claim on its output folder, and the removal of files that failed runs left behind.

Each run has an id, which is part of its file names, and a scratch folder of its own, in which a file names its owner.
A run whose claim is gone is not committed: whoever removed the claim also removes, or has removed, the run's files.
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from apache_beam.io.filesystems import FileSystems

from transforms.collection.layout import (
    LOCK,
    is_made_by_runs,
    is_scratch,
    name_of,
    owner_path,
    path_of,
    run_of,
    scratch_folder,
)
from transforms.collection.manifest import committed_run
from transforms.commit import liveness
from transforms.core.errors import one_line
from transforms.storage import durable
from transforms.storage.files import delete, files_below, read_whole
from transforms.storage.paths import is_file, scheme_of
from transforms.storage.versions import exclusive, put_if_unchanged, version_of

CLAIMS = 5
"""Attempts to claim a local folder, whose scratch folder another run may remove while it is empty."""


def claim(output: str, run_id: str, local: bool) -> None:
    """Write a run's owner into its scratch folder, so that no other run removes its files.

    Args:
      output: folder that the run writes to.
      run_id: the run's id.
      local: whether this process runs it, rather than other machines.

    Raises:
      OSError, or what the filesystem raises: the folder cannot be written to.
    """
    content = json.dumps(liveness.owner(local)).encode()
    for attempt in range(CLAIMS):
        with contextlib.suppress(*([FileNotFoundError] if attempt < CLAIMS - 1 else [])):
            if not scheme_of(output):
                durable.make_folders(scratch_folder(output, run_id))
            with FileSystems.create(owner_path(output, run_id), "application/json") as f:
                f.write(content)
            return


def _renew(output: str, run_id: str) -> None:
    path = owner_path(output, run_id)
    if not scheme_of(path):
        os.utime(path)
    elif version := version_of(path):
        put_if_unchanged(read_whole(path).decode(), path, version, "")


@contextlib.contextmanager
def renewed(outputs: Sequence[str], run_id: str) -> Iterator[None]:
    """Renew a run's claims from time to time while the block runs; one that is gone stays gone."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(liveness.RENEWED_EVERY):
            for output in outputs:
                # Storage that fails now may be there next time, long before the claim lapses.
                with contextlib.suppress(Exception):
                    _renew(output, run_id)

    threading.Thread(target=work, name="renew-claims", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def discard(output: str, run_id: str) -> bool:
    """Remove everything that a run wrote to an output folder, unless it is committed; return whether it is.

    From then on it cannot be committed any more, whatever still runs.
    """
    # Without its claim, a run has either ended or never begun.
    held = is_file(owner_path(output, run_id))
    with exclusive(path_of(output, LOCK)) if held else contextlib.nullcontext():
        if committed_run(output) == run_id:
            return True
        delete([owner_path(output, run_id)])
    remove(output, [m.path for m in files_below(output) if run_of(name_of(m.path, output)) == run_id])
    _remove_empty_folders(output)
    return False


def sweep(output: str, run_id: str) -> list[str]:
    """Remove what dead runs left behind, and this run's scratch folder.

    Returns:
      What could not be removed, a line per run.
    """
    by_run: dict[str, list[Any]] = {}
    for metadata in files_below(output):
        by_run.setdefault(run_of(name_of(metadata.path, output)), []).append(metadata)
    by_run.pop("", None)
    left = []
    for run, files in by_run.items():
        try:
            if run == run_id:
                files = [m for m in files if is_scratch(name_of(m.path, output))]
            elif _is_alive(output, run, files):
                continue
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
    newest = max(m.last_updated_in_seconds or 0.0 for m in files)
    return liveness.is_alive(owner, time.time() - newest)
