"""Versions of images: the text that tells an image from its earlier and later selves.

| what tells | version |
|---|---|
| Cloud Storage | generation:NUMBER |
| the local disk, and other filesystems that know both | mtime:NANOSECONDS,size:BYTES |
| a server of http or https | etag:TEXT, as it sent it, else last-modified:TEXT |
| the uri list, in a column of its own | listed:TEXT |
| nothing | '' |
"""

from typing import NamedTuple

GENERATION, MTIME, ETAG, LAST_MODIFIED, LISTED = "generation", "mtime", "etag", "last-modified", "listed"
"""Kinds of versions, each before the first colon of its versions."""


class Content(NamedTuple):
    """What was read at a uri: its bytes, and their version."""

    data: bytes
    version: str


class UnchangedError(Exception):
    """Nothing was read at a uri, since its bytes are those of the version that is known."""

    def __init__(self, version: str):
        super().__init__(f"still of the version {version}")
        self.version = version


def check_changed(version: str, known: str) -> None:
    """Raise UnchangedError if a version is the known one; '' is none."""
    if version and version == known:
        raise UnchangedError(version)


def object_version(generation: str) -> str:
    """Return the version of an object of Cloud Storage; '' if its generation is not known."""
    return f"{GENERATION}:{generation}" if generation else ""


def file_version(mtime_ns: int, size: int) -> str:
    """Return the version of a file.

    Args:
      mtime_ns: when it was last modified, in ns since 1970.
      size: in bytes.
    """
    return f"{MTIME}:{mtime_ns},size:{size}"


def answer_version(etag: str, last_modified: str) -> str:
    """Return the version that the headers of an answer tell, '' if both are."""
    if etag:
        return f"{ETAG}:{etag}"
    return f"{LAST_MODIFIED}:{last_modified}" if last_modified else ""


def listed_version(text: str) -> str:
    """Return the version that a uri list states."""
    return f"{LISTED}:{text}"


def is_listed(version: str) -> bool:
    """Whether a version is a uri list's own."""
    return version.startswith(f"{LISTED}:")


def told_by(version: str, kind: str) -> str:
    """Return the text after a version's kind, '' if it is of another kind."""
    found, _, text = version.partition(":")
    return text if found == kind else ""
