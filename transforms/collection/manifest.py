"""The manifest: its type, and reading it. If it exists, each file that it names is complete."""

import datetime
import json
from typing import Any, TypedDict, cast

from apache_beam.io.filesystems import FileSystems

from transforms.collection.layout import FEATURES, MANIFEST, path_of
from transforms.storage.files import read_whole
from transforms.storage.versions import version_of

RUNS_KEPT = 1000
"""Maximum number of runs of which a manifest tells."""


class Counts(TypedDict):
    """What became of the inputs: `inputs` is the sum of the others."""

    inputs: int
    embedded: int
    failed: int
    skipped: int
    duplicates: int


class FileEntry(TypedDict):
    """A file of the collection: its path below the output folder, its rows, their uris' `UriSum` in hex, its bytes."""

    name: str
    rows: int
    uris: str
    bytes: int


class Changes(TypedDict):
    """What a run changed: `rows = rows_before - changed - removed + embedded`.

    `new` and `changed` are those embedded, `taken_over` of these the ones from runs that ended early; `revised` have
    the same vector, and another version or other carried columns; `known_failures` were not tried again; `gone` are the
    rows whose uris no input names any more, `removed` as many as were for that removed.
    """

    rows_before: int
    new: int
    changed: int
    taken_over: int
    revised: int
    known_failures: int
    gone: int
    removed: int


class RunEntry(TypedDict):
    """A run that made or changed the collection.

    `stages` are busy seconds of all threads and processes together; `dollars_at_most` what its workers cost if as many
    as allowed ran from its start to its end, None if that is not known, as for this machine.
    """

    run_id: str
    times: "Times"
    counts: Counts
    changes: Changes
    seconds: float
    images_per_second: float
    stages: dict[str, float]
    dollars_at_most: float | None


class Collection(TypedDict):
    """All rows, and the runs that made them: the last RUNS_KEPT.

    `columns` is the Arrow schema of what lists carry, `vector_type` how Parquet holds the vectors.
    """

    rows: int
    columns: str
    vector_type: str
    runs: list[RunEntry]


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
    collection: Collection
    changes: Changes
    top_k: int
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
    if not isinstance(found.get("collection", {}), dict):
        raise ValueError("no collection in it")
    if not isinstance(files, list) or not all(isinstance(f, dict) and isinstance(f.get("name"), str) for f in files):
        raise ValueError("no files in it")
    return cast(Manifest, found)


def committed_run(output: str) -> str:
    """Return the id of the last run that is committed in a folder; '' if there is none.

    Raises:
      OSError: the folder cannot be read.
    """
    manifest = _readable(output)
    return manifest["run_id"] if manifest else ""


def stands(output: str, run_id: str) -> bool:
    """Whether a run is committed: it made or changed the collection that stands.

    Raises:
      OSError: the folder cannot be read.
    """
    manifest = _readable(output)
    if manifest is None:
        return False
    return run_id in {manifest["run_id"], *(run["run_id"] for run in runs_of(manifest))}


def named_files(output: str) -> set[str]:
    """Return the paths below a folder of the files that its manifest names.

    Raises:
      OSError: the folder cannot be read.
    """
    manifest = _readable(output)
    return {file["name"] for file in manifest.get("files", [])} if manifest else set()


def runs_of(manifest: Manifest) -> list[RunEntry]:
    """Return the runs that a manifest tells of, the last one last."""
    runs: list[RunEntry] = manifest.get("collection", {}).get("runs", [])
    return runs


def _readable(output: str) -> Manifest | None:
    """Return the manifest; None if there is none, or it is no manifest."""
    try:
        return read_manifest(output)
    except ValueError:
        return None


def replaceable_versions(output: str) -> dict[str, str]:
    """Return the versions of the files that a commit may replace, by name.

    Raises:
      OSError: the folder cannot be read.
    """
    return {name: version_of(path_of(output, name)) for name in (MANIFEST, FEATURES)}


def seconds_of(times: Times) -> float:
    """Return how long a run took, in seconds."""
    started, finished = (datetime.datetime.fromisoformat(times[name]) for name in ("started", "finished"))
    return max((finished - started).total_seconds(), 1.0)


def now() -> str:
    """Return the time in ISO 8601, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
