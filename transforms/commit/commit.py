"""Commit a run: write the manifest, last and atomically.

If it exists, every file that it names is complete and every input is accounted for; a reader that goes by the manifest
never sees half a run. Of two runs that end at the same time one is committed, and the other fails and names it.
"""

import dataclasses
import datetime
import importlib.metadata
import json
import logging
import platform
from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.transforms.combiners import ToListCombineFn

from transforms.collection.layout import FEATURES, LOCK, MANIFEST, name_of, path_of, scratch_folder
from transforms.collection.manifest import (
    RUNS_KEPT,
    FileEntry,
    Manifest,
    RunEntry,
    Times,
    committed_run,
    now,
    read_manifest,
    replaceable_versions,
    runs_of,
    seconds_of,
)
from transforms.commit.accounting import account
from transforms.commit.claims import is_held
from transforms.commit.leftovers import remove, sweep
from transforms.core.errors import RunError, one_line
from transforms.core.printable import escaped, printable
from transforms.core.spec import EmbeddingSpec
from transforms.storage.files import files_below, read_whole
from transforms.storage.gcs import LostRaceError
from transforms.storage.paths import is_file
from transforms.storage.versions import exclusive, put_if_unchanged
from transforms.write.shard_plan import WrittenFile

LOG = logging.getLogger(__name__)

DECIDING = (
    "beam-image-embeddings",
    "apache-beam",
    "tensorflow",
    "keras",
    "openvino",
    "onnxruntime-gpu",
    "pillow",
    "pyarrow",
    "numpy",
)
"""Libraries that affect the result; the manifest has their versions."""


@dataclasses.dataclass(frozen=True)
class Commit:
    """Check the counts, write the manifest and clean up: [(kind, value)] -> Manifest.

    Args: as for `WriteManifest`.
    """

    output: str
    run_id: str
    spec: EmbeddingSpec
    started: str
    features: dict[str, Any] | None = None
    replaceable: Mapping[str, str] = dataclasses.field(default_factory=dict)
    claimed: bool = False
    columns: str = ""
    vector_type: str = "list"
    top_k: int = 0
    updates: bool = False
    resumes: tuple[str, ...] = ()
    keeps_parts: bool = True
    dollars_an_hour: float = 0.0

    def __call__(self, found: list[tuple[str, Any]]) -> Manifest:
        """Return the manifest as it was written."""
        manifest = self._manifest(found)
        with exclusive(path_of(self.output, LOCK)):
            # A runner may repeat a step that has succeeded.
            if committed_run(self.output) != self.run_id:
                self._check_files(manifest)
                self._put_manifest(manifest)
            left = self._put_features()
        # The run stands; what happens from here on is said, and changes nothing about it.
        for line in [*left, *sweep(self.output, self.run_id, self.resumes, self.keeps_parts)]:
            LOG.warning("%s", line)
        LOG.info("stage commit ended: %s holds %d rows", printable(self.output), manifest["collection"]["rows"])
        return manifest

    def _manifest(self, found: list[tuple[str, Any]]) -> Manifest:
        accounted = account(found)
        written = [value for _, value in found if isinstance(value, WrittenFile)]
        files = [file_entry(file) for file in sorted(written, key=lambda file: file.name)]
        single = {kind: value for kind, value in found if kind in ("health", "reasons", "canaries", "stages")}
        times = Times(started=self.started, finished=now())
        seconds = seconds_of(times)
        run = RunEntry(
            run_id=self.run_id,
            times=times,
            counts=accounted.counts,
            changes=accounted.changes,
            seconds=seconds,
            images_per_second=round(accounted.counts["embedded"] / seconds, 1),
            stages=single.get("stages", {}),
            dollars_at_most=round(self.dollars_an_hour * seconds / 3600, 2) if self.dollars_an_hour else None,
        )
        before = read_manifest(self.output) if self.updates else None
        earlier = [one for one in runs_of(before) if one["run_id"] != self.run_id] if before else []
        return Manifest(
            run_id=self.run_id,
            counts=accounted.counts,
            embedding_spec=dataclasses.asdict(self.spec),
            embedding_spec_fingerprint=self.spec.fingerprint,
            collection={
                "rows": accounted.rows,
                "columns": self.columns,
                "vector_type": self.vector_type,
                "runs": [*earlier, run][-RUNS_KEPT:],
            },
            changes=accounted.changes,
            top_k=self.top_k,
            files=files,
            failures=single.get("reasons", {}),
            health=single.get("health", {}),
            canary=single.get("canaries", {}).get("canary"),
            workers=single.get("canaries", {}).get("workers", []),
            features=self.features,
            versions=versions(),
            times=times,
        )

    def _check_files(self, manifest: Manifest) -> None:
        """Raise RunError if what the manifest would name is no longer there, or may soon be removed."""
        there = {name_of(file.path, self.output): file.size_in_bytes for file in files_below(self.output)}
        if self.claimed and not is_held(self.output, self.run_id):
            raise RunError(f"run {self.run_id} has lost its claim on {self.output}: it was ended, or taken for dead")
        for file in manifest["files"]:
            if there.get(file["name"]) != file["bytes"]:
                raise RunError(f"{path_of(self.output, file['name'])} was removed or changed before the commit")

    def _put_manifest(self, manifest: Manifest) -> None:
        try:
            self._put(MANIFEST, manifest)
        except LostRaceError as e:
            standing = committed_run(self.output)
            # The answer to a request may be lost, and the request repeated.
            if standing != self.run_id:
                raise RunError(f"run {standing} was committed to {self.output} meanwhile, and stands") from e

    def _put_features(self) -> list[str]:
        """Bring features.json in line for readers of the folder; readers of the manifest find the features there."""
        path = path_of(self.output, FEATURES)
        try:
            if self.features is None:
                remove(self.output, [path] if self.replaceable.get(FEATURES) else [])
            elif not is_file(path) or json.loads(read_whole(path)) != self.features:
                self._put(FEATURES, self.features)
        except Exception as e:
            return [f"{path} is not that of run {self.run_id}, which stands: {one_line(e)}"]
        return []

    def _put(self, name: str, content: Any) -> None:
        partial = path_of(scratch_folder(self.output, self.run_id), name.replace("/", "-"))
        # The names of carried columns may hold anything.
        text = "\n".join(map(escaped, json.dumps(content, indent=2, ensure_ascii=False).split("\n")))
        put_if_unchanged(text, path_of(self.output, name), self.replaceable.get(name, ""), partial)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that affect the result, '' for those not installed."""
    return {"python": platform.python_version(), **{name: _version(name) for name in DECIDING}}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


@dataclasses.dataclass
class WriteManifest(beam.PTransform):
    """Commit a run: {'counts', 'embeddings', 'failures', 'health', 'reasons', 'canaries': PCollections} -> Manifest.

    `counts` are (name, n); `embeddings` and `failures` WrittenFile; the others hold at most one dict each.

    Args:
      output: a folder on any Beam filesystem.
      run_id: id of this run.
      spec: how the embeddings are made.
      started: when the run started, ISO 8601.
      features: the content of features.json; None if no TFRecord is written.
      replaceable: the `replaceable_versions` before the run began; None looks them up on construction.
      claimed: whether the run has claimed the folder, and is not to be committed once its claim is gone.
      columns: the carried columns' Arrow schema as text, see `transforms.collection.columns.schema_text`.
      vector_type: Arrow's type of the vectors in Parquet: 'list' or 'fixed_size_list'.
      top_k: number of classes that each row has.
      updates: whether the run changes the collection that stands, rather than replacing it.
      resumes: runs that ended early, of which this one has taken over what they had finished.
      keeps_parts: whether what others that ended early have finished stays for a while.
      dollars_an_hour: price of all workers at most, in US dollars; 0.0 if it is not known.
    """

    output: str
    run_id: str
    spec: EmbeddingSpec
    started: str
    features: dict[str, Any] | None = None
    replaceable: Mapping[str, str] | None = None
    claimed: bool = False
    columns: str = ""
    vector_type: str = "list"
    top_k: int = 0
    updates: bool = False
    resumes: tuple[str, ...] = ()
    keeps_parts: bool = True
    dollars_an_hour: float = 0.0

    def __post_init__(self) -> None:
        super().__init__()
        # Now, since the commit comes at the end.
        datetime.datetime.fromisoformat(self.started)
        if self.replaceable is None:
            self.replaceable = replaceable_versions(self.output)

    @property
    def commit(self) -> Commit:
        """What the transform does with all that was found."""
        return Commit(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Commit)})

    # Any, since Beam takes another type for a hint of its own, and warns.
    def expand(self, found: Any) -> Any:
        return (
            list(_tagged(found))
            | beam.Flatten()
            | beam.CombineGlobally(ToListCombineFn())
            | "Commit" >> beam.Map(self.commit)
        )


def file_entry(file: WrittenFile) -> FileEntry:
    """Return what the manifest says of a file."""
    return FileEntry(name=file.name, rows=file.uris.count, uris=f"{file.uris.hashes:016x}", bytes=file.num_bytes)


def _tagged(found: Mapping[str, Any]) -> Iterator[Any]:
    for kind, values in found.items():
        if kind in ("counts", "sums"):
            # They say themselves of what kind they are.
            yield values
        else:
            yield values | f"Tag_{kind}" >> beam.Map(lambda value, kind=kind: (kind, value))
