"""The manifest: its type, and reading it. If it exists, each file that it names is complete."""

import datetime
import json
from typing import Any, TypedDict, cast

from apache_beam.io.filesystems import FileSystems

from transforms.collection.layout import FEATURES, MANIFEST, path_of
from transforms.storage.files import read_whole
from transforms.storage.versions import version_of


class Counts(TypedDict):
    """What became of the inputs: `inputs` is the sum of the others."""

    inputs: int
    embedded: int
    failed: int
    skipped: int
    duplicates: int


class FileEntry(TypedDict):
    """A file of the run: its path below the output folder, its rows, its size in bytes."""

    name: str
    rows: int
    bytes: int


class ReasonEntry(TypedDict):
    """The failures of one reason: how many, their kind, and one of them, printable and without secrets."""

    count: int
    kind: str
    example: str
    message: str


class Health(TypedDict, total=False):
    """What `transforms.MeasureHealth` reports: all keys or none; norms are None if no vector is finite."""

    vectors: int
    nan: int
    zero: int
    norm_min: float | None
    norm_mean: float | None
    norm_max: float | None
    constant_dims: int
    duplicates: float


class CanaryEntry(TypedDict):
    """What the collection's first run made of known images, as later ones must: see `transforms.embed.canary`.

    `vectors` are the base64 of little-endian float32 of this `shape`, `decoding` a sha256.
    """

    vectors: str
    shape: list[int]
    decoding: str


class WorkerEntry(TypedDict):
    """What computed a run's embeddings: an engine and its version, and a model of processor or GPU."""

    engine: str
    version: str
    device: str
    processor: str
    rewrites: bool


class Times(TypedDict):
    """When the run started and finished, ISO 8601, UTC."""

    started: str
    finished: str


class Manifest(TypedDict):
    """The content of manifest.json.

    `embedding_spec` has the fields of `EmbeddingSpec`, `workers` each kind of worker once, `features` the content of
    features.json or None, `versions` those of the libraries that affect the result.
    """

    run_id: str
    counts: Counts
    embedding_spec: dict[str, Any]
    embedding_spec_fingerprint: str
    files: list[FileEntry]
    failures: dict[str, ReasonEntry]
    health: Health
    canary: CanaryEntry | None
    workers: list[WorkerEntry]
    features: dict[str, Any] | None
    versions: dict[str, str]
    times: Times


def read_manifest(output: str) -> Manifest | None:
    """Return the manifest of a finished run, or None if there is none.

    Raises:
      ValueError: there is a file of this name that is no manifest.
      OSError: the folder cannot be read.
    """
    path = path_of(output, MANIFEST)
    if not FileSystems.exists(path):
        return None
    try:
        found: Any = json.loads(read_whole(path))
    except RecursionError as e:
        raise ValueError("nested too deeply") from e
    if not isinstance(found, dict) or not isinstance(found.get("run_id"), str):
        raise ValueError("no run_id in it")
    files = found.get("files", [])
    if not isinstance(files, list) or not all(isinstance(f, dict) and isinstance(f.get("name"), str) for f in files):
        raise ValueError("no files in it")
    return cast(Manifest, found)


def committed_run(output: str) -> str:
    """Return the id of the run that stands in a folder; '' if there is none, or its manifest is no manifest.

    Raises:
      OSError: the folder cannot be read.
    """
    try:
        manifest = read_manifest(output)
    except ValueError:
        return ""
    return manifest["run_id"] if manifest else ""


def replaceable_versions(output: str) -> dict[str, str]:
    """Return the versions of the files that a commit may replace, by name.

    Raises:
      OSError: the folder cannot be read.
    """
    return {name: version_of(path_of(output, name)) for name in (MANIFEST, FEATURES)}


def now() -> str:
    """Return the time in ISO 8601, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
