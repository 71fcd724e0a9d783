"""Commit a run: write the manifest, last and atomically.

If it exists, every file that it names is complete and every input is accounted for; a reader that goes by the manifest
never sees half a run.
"""

import dataclasses
import importlib.metadata
import json
import platform
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.transforms.combiners import ToListCombineFn

from transforms.collection.layout import FEATURES, MANIFEST, path_of, scratch_folder
from transforms.collection.manifest import FileEntry, Manifest, now, replaceable_generations
from transforms.commit.accounting import account
from transforms.commit.claims import committing, sweep
from transforms.core.spec import EmbeddingSpec
from transforms.storage.files import read_whole, write_whole
from transforms.storage.gcs import LostRaceError
from transforms.write.shard_plan import WrittenFile

DECIDING = ("beam-image-embeddings", "apache-beam", "tensorflow", "keras", "openvino", "pillow", "pyarrow", "numpy")
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
    replaceable: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def __call__(self, found: list[tuple[str, Any]]) -> Manifest:
        """Return the manifest as it was written."""
        files = [FileEntry(name=v.name, rows=v.rows, bytes=v.num_bytes) for _, v in found if isinstance(v, WrittenFile)]
        single = {kind: value for kind, value in found if kind in ("health", "reasons")}
        manifest = Manifest(
            run_id=self.run_id,
            counts=account(found),
            embedding_spec=dataclasses.asdict(self.spec),
            embedding_spec_fingerprint=self.spec.fingerprint,
            files=sorted(files, key=lambda file: file["name"]),
            failures=single.get("reasons", {}),
            health=single.get("health", {}),
            features=self.features,
            versions=versions(),
            times={"started": self.started, "finished": now()},
        )
        with committing(self.run_id):
            if self.features is not None:
                self._put(FEATURES, self.features, lambda there: there == self.features)
            self._put(MANIFEST, manifest, lambda there: there.get("run_id") == self.run_id)
        sweep(self.output, self.run_id)
        return manifest

    def _put(self, name: str, content: Any, is_own: Callable[[Any], bool]) -> None:
        path = path_of(self.output, name)
        partial = path_of(scratch_folder(self.output, self.run_id), name.replace("/", "-"))
        try:
            write_whole(json.dumps(content, indent=2, ensure_ascii=False), path, partial, self.replaceable.get(name))
        except LostRaceError:
            # After a lost answer or a retried bundle, the object that is there is this run's own.
            if not is_own(json.loads(read_whole(path))):
                raise


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
    """Commit a run: {'counts', 'embeddings', 'failures', 'health', 'reasons': PCollections} -> Manifest.

    `counts` are (name, n); `embeddings` and `failures` WrittenFile; `health` and `reasons` hold at most one dict.

    Args:
      output: a folder on any Beam filesystem.
      run_id: id of this run.
      spec: how the embeddings are made.
      started: when the run started, ISO 8601.
      features: the content of features.json; None if no TFRecord is written.
      replaceable: the `replaceable_generations` before the run began; None looks them up on construction.
    """

    output: str
    run_id: str
    spec: EmbeddingSpec
    started: str
    features: dict[str, Any] | None = None
    replaceable: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        super().__init__()
        if self.replaceable is None:
            self.replaceable = replaceable_generations(self.output)

    # Any, since Beam takes another type for a hint of its own, and warns.
    def expand(self, found: Any) -> Any:
        commit = Commit(self.output, self.run_id, self.spec, self.started, self.features, self.replaceable or {})
        return (
            list(_tagged(found))
            | beam.Flatten()
            | beam.CombineGlobally(ToListCombineFn())
            | "Commit" >> beam.Map(commit)
        )


def _tagged(found: Mapping[str, Any]) -> Iterator[Any]:
    for kind, values in found.items():
        if kind == "counts":
            yield values
        else:
            yield values | f"Tag_{kind}" >> beam.Map(lambda value, kind=kind: (kind, value))
