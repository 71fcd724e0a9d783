"""Inputs as they are found at launch: images, folders, globs and uri lists."""

import dataclasses
import os
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping

from apache_beam.io.filesystem import BeamIOError

from transforms.core.errors import ImageError, UsageError, did_you_mean, one_line
from transforms.read import folders
from transforms.read.formats.list_files import format_of, is_uri_list
from transforms.read.formats.parts import Part
from transforms.read.other_files import refuse_other_files, refuse_pages
from transforms.storage.gcs import INSTALLED, install_hint, is_gcs, listed, stat
from transforms.storage.paths import (
    first_match,
    folder_pattern,
    is_file,
    local_path,
    matching_files,
    scheme_of,
    with_slashes,
)
from transforms.storage.schemes import SCHEMES, WEB, how_to_install

NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""What Hive, Spark and Arrow name the folder of rows without a value."""


@dataclasses.dataclass(frozen=True)
class Source:
    """One input as it was found at launch.

    Attributes:
      kind: 'image', 'files' or 'list'.
      path: of the image or the list, or the glob of the files.
      index: position among all inputs.
      folder: what relative uris of a list are relative to.
      partitions: columns that the folders of a list state, like `label=cat`.
      table: the glob of the folder of Parquet that a list is part of, '' if it stands alone.
      part: the part of a list that is read; None for all of it.
    """

    kind: str
    path: str
    index: int
    folder: str = ""
    partitions: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    table: str = ""
    part: Part | None = None


def find_sources(inputs: Iterable[str]) -> list[Source]:
    """Return what each input is, after checking that it matches something.

    Raises:
      UsageError: an input's scheme is unknown, it matches nothing, or is a file of another kind.
    """
    found = [source for path in inputs for source in _find(path)]
    return [dataclasses.replace(source, index=i) for i, source in enumerate(found)]


def in_parts(sources: Iterable[Source], parts: Mapping[str, Iterable[Part]]) -> list[Source]:
    """Return sources of which each list that has parts is several."""
    split = [dataclasses.replace(one, part=part) for one in sources for part in parts.get(one.path) or (None,)]
    return [dataclasses.replace(source, index=i) for i, source in enumerate(split)]


def matching(pattern: str) -> Iterator[tuple[str, str, ImageError | None]]:
    """Yield the files that a glob matches on any Beam filesystem: path, version, and why there is nothing to be read.

    The version is what the listing tells, '' where it tells none. A bucket is listed page by page.
    """
    if not scheme_of(pattern):
        return ((path, "", error) for path, error in folders.matching(pattern))
    found = listed(pattern) if is_gcs(pattern) and INSTALLED else matching_files(pattern)
    return ((path, version, None) for path, version in found)


def _first_matching(pattern: str) -> folders.Match:
    """Return one of `matching`, ("", None) if there is none; a launch lists no more than that takes."""
    if not scheme_of(pattern):
        return folders.any_matching(pattern)
    if is_gcs(pattern) and INSTALLED:
        return next((file.path for file in listed(pattern)), ""), None
    return first_match(pattern), None


def _find(path: str) -> Iterator[Source]:
    scheme = scheme_of(path)
    if scheme in WEB:
        refuse_pages(path)
        yield Source("image", path, 0)
        return
    if scheme and scheme not in SCHEMES:
        raise UsageError(f"no filesystem reads {path}: unknown scheme {scheme!r}{did_you_mean(scheme, SCHEMES)}")
    if command := how_to_install(path):
        raise UsageError(f"nothing here reads {path}; run: {command}")
    if scheme in ("", "file"):
        path = with_slashes(os.path.abspath(local_path(path) if scheme else path))
    try:
        yield from _find_files(path)
    except (BeamIOError, OSError, ValueError, ImportError) as e:
        if isinstance(e, UsageError):
            raise
        raise UsageError(f"cannot list --input {path}: {one_line(e)}{install_hint(path)}") from e


def _find_files(path: str) -> Iterator[Source]:
    refuse_other_files(path)
    if _is_one(path):
        yield _list(path) if is_uri_list(path) else Source("image", path, 0)
        return
    folder = folder_pattern(path)
    first, error = _first_matching(folder)
    if error and first == path:
        raise UsageError(f"cannot list --input {path}: {error}")
    if first:
        yield from (_is_of_table(first) and _table(path)) or [Source("files", folder, 0)]
    elif not os.path.isdir(path) and _first_matching(path)[0]:
        yield from (_list(file) for file, _, _ in matching(path)) if is_uri_list(path) else [Source("files", path, 0)]
    else:
        raise UsageError(f"nothing matches --input {path}; check the path, or quote the glob if the shell ate it")


def _is_one(path: str) -> bool:
    """Whether a path is that of a file; consoles mark a folder with an object whose name ends in a slash."""
    if not (is_gcs(path) and INSTALLED):
        return is_file(path)
    name = path[len("gs://") :].partition("/")[2]
    return bool(name) and not name.endswith("/") and stat(path) is not None


def _list(path: str) -> Source:
    return Source("list", path, 0, path.rpartition("/")[0])


def _is_of_table(path: str) -> bool:
    """Whether a file may lie in a folder of Parquet, where names with _ say what writers note of it."""
    return format_of(path) == "parquet" or path.rpartition("/")[2].startswith("_")


def _table(folder: str) -> list[Source]:
    """Return the files of a folder that holds nothing but Parquet, as Hive and Spark leave it; else nothing."""
    files: list[Source] = []
    pattern = folder_pattern(folder)
    for path, _, _ in matching(pattern):
        if not _is_of_table(path):
            return []
        below = path[len(folder.rstrip("/")) + 1 :].split("/")
        if below[-1].startswith("_"):
            continue
        pairs = [name.split("=", 1) for name in below[:-1] if "=" in name]
        values = {urllib.parse.unquote(name): urllib.parse.unquote(value) for name, value in pairs}
        partitions = {name: None if value == NO_PARTITION else value for name, value in values.items()}
        files.append(Source("list", path, 0, folder, partitions, pattern))
    return files
