"""The manifest: the one file that makes a run whole.

It is put last and at once. Where it stands, every file that it names is complete, and every input is accounted for; a
reader that goes through it never sees half a run.
"""

import dataclasses
import importlib.metadata
import json
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.transforms.combiners import ToListCombineFn

from transforms.commit.claims import committing, now, put, sweep
from transforms.core.spec import EmbeddingSpec
from transforms.storage.gcs import LostRaceError, generation_of, is_gcs
from transforms.write.shards import WrittenFile, scratch_folder

NAME = "manifest.json"
FEATURES = "features.json"


class AccountingError(RuntimeError):
    """The outcomes do not add up to the inputs: something was lost or doubled."""


def read_manifest(output: str) -> dict[str, Any] | None:
    """Return the manifest of a finished run, None where there is none."""
    if not FileSystems.exists(FileSystems.join(output, NAME)):
        return None
    manifest: dict[str, Any] = _read(output, NAME)
    return manifest


def _read(output: str, name: str) -> Any:
    with FileSystems.open(FileSystems.join(output, name), compression_type=CompressionTypes.UNCOMPRESSED) as f:
        return json.loads(f.read())


def seen_generations(output: str) -> dict[str, int]:
    """Return the generations of what a run replaces, by name: {} on a filesystem that keeps none.

    Raises:
      OSError: the folder cannot be read.
    """
    if not is_gcs(output):
        return {}
    return {name: generation_of(FileSystems.join(output, name)) for name in (NAME, FEATURES)}


def account(found: Iterable[tuple[str, Any]]) -> dict[str, int]:
    """Count every input's outcome from what was really written.

    Args:
      found: ('inputs' | 'duplicates', n), ('embeddings' | 'failures', WrittenFile).

    Raises:
      AccountingError: `inputs = embedded + failed + skipped + duplicates` does not hold.
    """
    by_format: dict[str, int] = {}
    counts = {"inputs": 0, "embedded": 0, "failed": 0, "skipped": 0, "duplicates": 0}
    for kind, value in found:
        if kind in ("inputs", "duplicates"):
            counts[kind] += value
        elif kind == "failures":
            counts["failed"] += value.rows
        elif kind == "embeddings":
            extension = value.name.rpartition("-")[2].partition(".")[2]
            by_format[extension] = by_format.get(extension, 0) + value.rows
    if len(set(by_format.values())) > 1:
        raise AccountingError(f"the formats hold different numbers of embeddings: {by_format}")
    counts["embedded"] = next(iter(by_format.values()), 0)
    outcomes = counts["embedded"] + counts["failed"] + counts["skipped"] + counts["duplicates"]
    if outcomes != counts["inputs"]:
        raise AccountingError(f"{counts['inputs']} inputs, but {outcomes} outcomes: {counts}")
    return counts


@dataclasses.dataclass(frozen=True)
class Commit:
    """Check the sum, put the manifest, and clear up: [(kind, value)] -> the manifest.

    Args: as `WriteManifest`'s.
    """

    output: str
    run_id: str
    spec: EmbeddingSpec
    started: str
    features: dict[str, Any] | None = None
    seen: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def __call__(self, found: list[tuple[str, Any]]) -> dict[str, Any]:
        """Return the manifest as it was put."""
        files = sorted((dataclasses.asdict(v) for _, v in found if isinstance(v, WrittenFile)), key=lambda f: f["name"])
        single = {kind: value for kind, value in found if kind in ("health", "reasons")}
        manifest = {
            "run_id": self.run_id,
            "counts": account(found),
            "embedding_spec": dataclasses.asdict(self.spec),
            "embedding_spec_fingerprint": self.spec.fingerprint,
            "files": files,
            "failures": single.get("reasons", {}),
            "health": single.get("health", {}),
            "features": self.features,
            "versions": versions(),
            "times": {"started": self.started, "finished": now()},
        }
        with committing(self.run_id):
            if self.features is not None:
                self._put(FEATURES, self.features, lambda found: found == self.features)
            self._put(NAME, manifest, lambda found: found.get("run_id") == self.run_id)
        sweep(self.output, self.run_id)
        return manifest

    def _put(self, name: str, content: dict[str, Any], is_own: Callable[[Any], bool]) -> None:
        try:
            text = json.dumps(content, indent=2, ensure_ascii=False)
            put(text, self.output, name, scratch_folder(self.output, self.run_id), self.seen.get(name))
        except LostRaceError:
            # A put whose answer was lost, or a bundle that is tried again, meets itself.
            if not is_own(_read(self.output, name)):
                raise


def versions() -> dict[str, str]:
    """Return the versions of what decides the result."""
    names = ("beam-image-embeddings", "apache-beam", "tensorflow", "keras", "openvino", "pillow", "pyarrow", "numpy")
    found = {name: _version(name) for name in names}
    return {"python": platform.python_version(), **found}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


@dataclasses.dataclass
class WriteManifest(beam.PTransform):
    """Commit a run: {'counts', 'embeddings', 'failures', 'health', 'reasons': PCollections} -> the manifest, a dict.

    `counts` are (name, n); `embeddings` and `failures` WrittenFile; `health` and `reasons` hold at most one dict.

    Args:
      output: a folder on any Beam filesystem.
      run_id: of this run.
      spec: how the embeddings are made.
      started: when the run was, ISO 8601.
      features: the content of `features.json`, None where no TFRecord is written.
      seen: what `seen_generations` said before the run began; None asks when this is constructed.
    """

    output: str
    run_id: str
    spec: EmbeddingSpec
    started: str
    features: dict[str, Any] | None = None
    seen: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        super().__init__()
        self.seen = seen_generations(self.output) if self.seen is None else self.seen

    def expand(self, found: Any) -> Any:
        commit = Commit(self.output, self.run_id, self.spec, self.started, self.features, self.seen or {})
        return (
            list(_tagged(found))
            | beam.Flatten()
            | beam.CombineGlobally(ToListCombineFn())
            | "Commit" >> beam.Map(commit)
        )


def _tagged(found: dict[str, Any]) -> Iterator[Any]:
    for kind, values in found.items():
        if kind == "counts":
            yield values
        else:
            yield values | f"Tag_{kind}" >> beam.Map(lambda value, kind=kind: (kind, value))
