"""A run's claim on its output folder.

Each run has an id, which is part of its file names, and a scratch folder of its own, in which a file names its owner.
A run whose claim is gone is not committed: whoever removed the claim also removes, or has removed, the run's files.
"""

import contextlib
import json
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from apache_beam.io.filesystems import FileSystems

from transforms.collection.layout import (
    PARTIAL,
    owner_path,
    path_of,
    scratch_folder,
)
from transforms.commit import liveness
from transforms.storage import durable
from transforms.storage.files import read_whole
from transforms.storage.paths import is_file, scheme_of
from transforms.storage.versions import put_if_unchanged, version_of

CLAIMS = 5
"""Attempts to claim a local folder, whose scratch folder another run may remove while it is empty."""


def claim(output: str, run_id: str, local: bool, fingerprint: str = "") -> None:
    """Write a run's owner into its scratch folder, so that no other run removes its files.

    Args:
      output: folder that the run writes to.
      run_id: the run's id.
      local: whether this process runs it, rather than other machines.
      fingerprint: that of the embeddings' spec, so that a later run knows whether it can take over finished parts.

    Raises:
      OSError, or what the filesystem raises: the folder cannot be written to.
    """
    content = json.dumps(liveness.owner(local, fingerprint)).encode()
    for attempt in range(CLAIMS):
        with contextlib.suppress(*([FileNotFoundError] if attempt < CLAIMS - 1 else [])):
            if not scheme_of(output):
                durable.make_folders(scratch_folder(output, run_id))
            with FileSystems.create(owner_path(output, run_id), "application/json") as f:
                f.write(content)
            return


def is_held(output: str, run_id: str) -> bool:
    """Whether a run's claim on a folder is there, and the run has not ended."""
    return liveness.is_claim(owner_of(output, run_id))


def owner_of(output: str, run_id: str) -> Any:
    """Return the content of a run's claim, whatever it is; None if there is none.

    Raises:
      OSError: the folder cannot be read.
    """
    path = owner_path(output, run_id)
    if not is_file(path):
        return None
    try:
        return json.loads(read_whole(path))
    except (FileNotFoundError, ValueError):
        return None


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


def mark_ended(output: str, run_id: str) -> None:
    """Say in a run's claim that the run has ended, and cannot be committed any more; its parts stay its own."""
    path, owner = owner_path(output, run_id), owner_of(output, run_id)
    partial = path_of(scratch_folder(output, run_id), f"{uuid.uuid4().hex}{PARTIAL}")
    put_if_unchanged(json.dumps(liveness.ended(owner)), path, version_of(path), partial)
