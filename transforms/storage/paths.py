"""Paths and uris: their scheme, the one form in which an image is known, the files that a pattern matches.

Importing this does not import Beam, whose filesystems only schemes other than the local one need.
"""

import glob
import os
import re
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.ASCII | re.IGNORECASE)
_DRIVE = re.compile("/[a-z]:", re.ASCII | re.IGNORECASE)
_ESCAPED = re.compile(r"\[([*?[])\]")
_LITERAL = re.compile(r"(?:[^*?[]|\[[*?[]\])*")
_NOT_UTF8 = re.compile("[\udc80-\udcff]+")


def scheme_of(path: str) -> str:
    """Return a path's scheme in lower case, '' for a local path."""
    scheme = _SCHEME.match(path)
    return scheme[1].lower() if scheme else ""


def local_path(uri: str) -> str:
    """Return the path that a file:// uri names."""
    path = uri[len("file://") :].removeprefix("localhost")
    # As bytes, since the uri of a list may not be UTF-8.
    decoded = os.fsdecode(urllib.parse.unquote_to_bytes(os.fsencode(path)))
    return decoded.removeprefix("/") if _DRIVE.match(decoded) and os.sep != "/" else decoded


def with_slashes(path: str) -> str:
    """Return a local path with / between its parts, which every platform reads and all that is parsed here has."""
    return path.replace(os.sep, "/")


def canonical_uri(path: str, folder: str = "") -> str:
    """Return the one uri of an image, the same in every run.

    A local path becomes absolute; one that is not UTF-8, or ends in white space, which uri lists do not keep, becomes a
    percent-encoded file:// uri.

    Args:
      path: a path or a uri; a relative one is relative to `folder`.
      folder: default the working folder.
    """
    scheme = scheme_of(path)
    if scheme == "file":
        path = local_path(path)
    elif scheme or (scheme_of(folder) and not path.startswith("/")):
        uri = path if scheme else _joined(folder, path)
        return uri if uri.isascii() else _NOT_UTF8.sub(lambda c: urllib.parse.quote_from_bytes(os.fsencode(c[0])), uri)
    path = with_slashes(os.path.abspath(os.path.join(folder, path)))
    try:
        path.encode()
        if path == path.strip():
            return path
    except UnicodeEncodeError:
        pass
    return "file://" + urllib.parse.quote_from_bytes(os.fsencode(path))


def _joined(folder: str, name: str) -> str:
    from apache_beam.io.filesystems import FileSystems

    return str(FileSystems.join(folder, name))


def folder_pattern(folder: str) -> str:
    """Return the glob of all files below a folder."""
    pattern = _joined(glob.escape(folder.rstrip("/")), "**")
    return pattern if scheme_of(folder) else with_slashes(pattern)


def is_file(path: str) -> bool:
    """Whether a file or an object of this path exists."""
    if not scheme_of(path):
        return os.path.isfile(path)
    from apache_beam.io.filesystems import FileSystems

    return bool(FileSystems.exists(path))


class Found(NamedTuple):
    """A file that a pattern matches, with the version that its filesystem's listing tells; '' if it tells none."""

    path: str
    version: str = ""


def matching_files(pattern: str) -> Iterator[Found]:
    """List the files that a pattern matches, in order of their paths.

    Leaves out files with a hidden name (.name) below the fixed part of the pattern.
    """
    is_visible = visible_below(fixed_part(pattern))
    found = sorted(_matches(pattern), key=lambda file: str(file.path))
    return (Found(str(file.path), _version(file)) for file in found if is_visible(file.path))


def first_match(pattern: str) -> str:
    """Return the path of one of `matching_files`, '' if there is none.

    Lists no more than it must, since there may be millions.
    """
    is_visible = visible_below(fixed_part(pattern))
    for limit in (1, 1000, None):
        found = _matches(pattern, limit)
        if visible := next((file for file in found if is_visible(file.path)), None):
            return str(visible.path)
        if limit is None or len(found) < limit:
            break
    return ""


def _matches(pattern: str, limit: int | None = None) -> list[Any]:
    from apache_beam.io.filesystems import FileSystems

    return [metadata for result in FileSystems.match([pattern], [limit]) for metadata in result.metadata_list]


def _version(file: Any) -> str:
    seconds, size = file.last_updated_in_seconds, file.size_in_bytes
    return "" if not seconds or size is None else f"mtime:{round(seconds * 1e9)},size:{size}"


def fixed_part(pattern: str) -> str:
    """Return what all names that a pattern matches begin with, without the pattern's escapes."""
    literal = _LITERAL.match(pattern)
    return _ESCAPED.sub(r"\1", literal[0] if literal else "")


def visible_below(fixed: str) -> Callable[[str], bool]:
    """Return the function that tells whether no name (.name) of a path is hidden, from the end of `fixed` on."""
    levels = fixed.count("/")
    return lambda path: not any(name.startswith(".") for name in path.split("/")[levels:])
