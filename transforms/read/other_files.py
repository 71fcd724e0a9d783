"""Files that are neither images nor uri lists, by their names: refused as an input, and not fetched from a folder."""

import os
import urllib.parse

from transforms.core.errors import UsageError
from transforms.read.formats.list_files import FORMATS, UNPACKERS, is_uri_list

REFUSED = {
    "is an archive; unpack it, and name the folder": (
        *(".tar", ".tgz", ".tbz2", ".zip", ".7z", ".rar", *(f".tar{suffix}" for suffix in UNPACKERS)),
    ),
    "is JSON but no JSON lines; write one object a line, and name it .jsonl": (".json", ".geojson"),
    "is a table in a format that is not read here; save it as .csv, .jsonl or .parquet": (
        *(".xls", ".xlsx", ".ods", ".feather", ".arrow", ".ipc", ".orc", ".avro", ".sqlite", ".db", ".yaml", ".yml"),
        *(".xml", ".pkl", ".pickle", ".npy", ".npz", ".mat", ".h5", ".hdf5", ".tfrecord", ".tfrecords", ".lance"),
    ),
    "is compressed in a way that is not read here; use gzip, bzip2 or zstd": (".xz", ".lz4", ".br", ".lzma", ".snappy"),
    "is a compressed file that does not say of what; name it .txt.gz, .csv.gz, .jsonl.gz, or unpack it": (*UNPACKERS,),
}
"""What is said of files that are neither images nor uri lists, with their suffixes."""

_REFUSED = frozenset(suffix for suffixes in REFUSED.values() for suffix in suffixes)

OTHERS = frozenset(
    (
        *(".mov", ".mp4", ".m4v", ".avi", ".mkv", ".webm", ".wmv", ".mpg", ".mpeg", ".3gp", ".mts", ".flv"),
        *(".mp3", ".m4a", ".wav", ".aac", ".flac", ".ogg"),
        *(".aae", ".xmp", ".ini", ".ds_store", ".lnk", ".url", ".webloc", ".exe", ".dll", ".md5", ".sha256"),
        *(".md", ".rst", ".log", ".rtf", ".pdf", ".doc", ".docx", ".ppt", ".pptx", ".srt", ".vtt"),
        *(".html", ".htm", ".css", ".js", ".py", ".ipynb", ".sh", ".toml", ".cfg", ".conf"),
        *FORMATS,
        *_REFUSED,
    )
)
"""Suffixes of no image. One that is not listed may be an image's: names are often hashes, or end in a number."""

_DRIVE = ("drive.google.com", "docs.google.com", "photos.google.com", "photos.app.goo.gl")
_DRIVE_FILE = "/uc"
"""Path of Google Drive's links to a file itself."""


def refuse_other_files(path: str) -> None:
    """Refuse an input whose suffix says that it is neither an image nor a uri list.

    Raises:
      UsageError: the line says what to do with the file.
    """
    for what, suffixes in REFUSED.items():
        if not is_uri_list(path) and path.lower().endswith(suffixes):
            raise UsageError(f"--input {path} {what}")


def refuse_pages(uri: str) -> None:
    """Refuse an input that is read over http and is no image: a page of Google Drive, an archive, a uri list.

    Raises:
      UsageError: the line says what to do instead.
    """
    parts = urllib.parse.urlsplit(uri)
    if parts.hostname in _DRIVE and parts.path != _DRIVE_FILE:
        # Behind the colon, since the value of a parameter, which is masked, may hold blanks.
        raise UsageError(
            f"--input {uri}: a page of Google Drive or Photos, not an image; download what it shows, or copy it to a "
            "bucket, and name that"
        )
    # With a query, a server may make an image of anything.
    if not parts.query:
        if is_uri_list(parts.path):
            raise UsageError(f"--input {uri} is a uri list, not read over http; download it, and name the copy")
        if os.path.splitext(parts.path)[1].lower() in _REFUSED:
            raise UsageError(f"--input {uri} is no image; download it, and unpack or convert it")


def other_file(path: str) -> str:
    """Say why a file of a folder is no image, by its suffix; '' if it may be one."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in OTHERS:
        return ""
    return "a uri list; name it as an --input to read it" if is_uri_list(path) else f"{suffix} files are no images"
