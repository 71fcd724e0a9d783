"""Local files that a glob matches: links are followed, and what cannot be looked at is told, not left out."""

import errno
import glob
import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple

from apache_beam.io.filesystem import FileSystem

from transforms.core.errors import ImageError
from transforms.storage.paths import with_slashes

Match = tuple[str, ImageError | None]
"""A path, and why there is nothing to be read, if that is known already."""

_ESCAPED = re.compile(r"\[([*?[])\]")


class _Entry(NamedTuple):
    """An entry of a folder; `levels` of folders below may be looked at."""

    path: str
    is_folder: bool
    levels: float
    is_link: bool = False
    error: ImageError | None = None


def any_matching(pattern: str) -> Match:
    """Return the one of `matching` that is found first, whichever it is, ("", None) if there is none."""
    return next(matching(pattern, in_order=False), ("", None))


def matching(pattern: str, *, in_order: bool = True) -> Iterator[Match]:
    """Yield the local files that a glob matches, in order of their paths, and each folder that cannot be read.

    Leaves out hidden names (.name) below the fixed part of the pattern. A folder is read once. What only links lead to
    comes last, so that a link changes no uri of other files.
    """
    parts = pattern.split("/")
    names = [_ESCAPED.sub(r"\1", part) for part in parts]
    fixed = 0
    while fixed < len(parts) - 1 and glob.escape(names[fixed]) == parts[fixed]:
        fixed += 1
    everything = parts[fixed:] == ["**"]
    matches = re.compile(FileSystem.translate_pattern(pattern), re.DOTALL).match
    levels = float("inf") if "**" in pattern else len(parts) - fixed
    seen: set[tuple[int, int]] = set()
    top = "/".join(names[:fixed]) or "/"
    starts = [_Entry(top, True, levels)] if os.path.isdir(top) else []
    while starts:
        for entry in _below(starts.pop(0), seen, starts, in_order):
            if everything or entry.is_folder or matches(entry.path):
                yield entry.path, entry.error


def _below(start: _Entry, seen: set[tuple[int, int]], links: list[_Entry], in_order: bool) -> Iterator[_Entry]:
    """Yield all files below a folder; folders that links lead to are added to `links`, each folder to `seen`."""
    waiting: list[str | _Entry] = [start]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, str):
            yield _Entry(entry, False, 0)
        elif not entry.is_folder:
            yield entry
        elif entry.is_link and entry is not start:
            links.append(entry)
        elif entry.levels:
            try:
                found = os.stat(entry.path)
                if (found.st_dev, found.st_ino) not in seen:
                    seen.add((found.st_dev, found.st_ino))
                    if in_order:
                        waiting += sorted(_entries(entry), key=_order, reverse=True)
                        continue
                    for below in _entries(entry):
                        if isinstance(below, str):
                            yield _Entry(below, False, 0)
                        elif below.is_folder:
                            waiting.append(below)
                        else:
                            yield below
            except OSError as e:
                yield entry._replace(error=_error(e, entry.path))


def _order(entry: str | _Entry) -> str:
    return entry if isinstance(entry, str) else entry.path + "/" * entry.is_folder


def _entries(folder: _Entry) -> Iterator[str | _Entry]:
    """Yield what is in a folder; of a plain file only the path, since there may be millions."""
    with os.scandir(folder.path) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            is_link, is_folder, error = entry.is_symlink(), False, None
            try:
                is_folder = stat.S_ISDIR(os.stat(entry.path).st_mode) if is_link else entry.is_dir()
            except OSError as e:
                error = _error(e, entry.path)
            path = with_slashes(entry.path)
            is_plain = not (is_link or is_folder or error)
            yield path if is_plain else _Entry(path, is_folder, folder.levels - 1, is_link, error)


def _error(e: OSError, path: str) -> ImageError:
    """Return the error for a path that cannot be looked at, e.g. a link to nothing or to itself."""
    if isinstance(e, PermissionError):
        return ImageError("permission_denied", f"may not be read: {path}", error=type(e).__name__)
    if isinstance(e, FileNotFoundError | NotADirectoryError) or e.errno == errno.ELOOP:
        return ImageError("not_found", f"a link to nothing: {path}", error=type(e).__name__)
    return ImageError("io_error", f"cannot be looked at: {path}: {e.strerror}", transient=True, error=type(e).__name__)
