"""What stands in an output folder before a run: the collection that it updates, the parts that it takes over."""

import dataclasses
import os

from pipelines.options.settings import Settings
from transforms.collection.columns import Schema, schema_of
from transforms.collection.layout import EMBEDDINGS, FAILURES, FEATURES, format_of, name_of, path_of, run_of
from transforms.collection.manifest import Manifest
from transforms.commit.leftovers import ended_runs
from transforms.core.errors import UsageError
from transforms.core.spec import EmbeddingSpec
from transforms.core.uri_sum import UriSum
from transforms.embed.canary import Canary
from transforms.storage.files import files_below
from transforms.update.known import KnownFile
from transforms.write.shard_plan import StandingFile


@dataclasses.dataclass(frozen=True)
class Standing:
    """What stands in an output folder.

    Attributes:
      manifest: the manifest of the collection that the run updates, None for none.
      parts: finished parts of runs that ended early, by run: paths below the folder.
    """

    manifest: Manifest | None = None
    parts: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def resumes(self) -> tuple[str, ...]:
        """The runs that are taken over."""
        return tuple(run for run, _ in self.parts)

    @property
    def canary(self) -> Canary | None:
        """What the first run of the collection computed, None for no collection."""
        found = self.manifest["canary"] if self.manifest else None
        return Canary.of(found) if found else None

    @property
    def columns(self) -> Schema:
        """The columns that the collection carries."""
        return schema_of(self.manifest["collection"]["columns"] if self.manifest else "")

    @property
    def vector_type(self) -> str:
        """The type of its vectors in Parquet; earlier versions knew only lists."""
        return self.manifest["collection"].get("vector_type", "list") if self.manifest else "list"

    def differs(self, format_: str, columns: Schema, vector_type: str) -> bool:
        """Whether the files of a format that stand have other columns than a run writes.

        Args:
          format_: name of the format.
          columns: the columns that the run carries.
          vector_type: how it writes vectors to Parquet; other formats have one way.
        """
        if self.manifest is None:
            return False
        return self.columns != columns or (format_ == "parquet" and self.vector_type != vector_type)

    def files(self) -> list[StandingFile]:
        """Return the files of the collection."""
        entries = self.manifest["files"] if self.manifest else []
        return [
            StandingFile(entry["name"], UriSum(entry["rows"], int(entry["uris"], 16)), entry["bytes"])
            for entry in entries
        ]

    def known(self, output: str, format_: str) -> list[KnownFile]:
        """Return the files that inputs are compared with: those of failures, and those of one format.

        Args:
          output: the folder.
          format_: name of the format that rows are read from.
        """
        standing = [(entry.name, False) for entry in self.files()]
        parts = [(name, True) for _, names in self.parts for name in names]
        read = (EMBEDDINGS[format_].extension, FAILURES.extension)
        return [
            KnownFile(path_of(output, name), is_part, format_ if name.endswith(read[0]) else "")
            for name, is_part in [*standing, *parts]
            if name.endswith(read)
        ]


def standing_in(output: str, manifest: Manifest | None, spec: EmbeddingSpec, settings: Settings) -> Standing:
    """Return what stands in a folder that a run writes to.

    Raises:
      UsageError: the collection cannot be updated with these settings.
    """
    if manifest:
        _check_same(output, manifest, spec, settings)
    parts = {} if settings.existing == "replace" else ended_runs(output, spec.fingerprint, settings.resume)
    return Standing(manifest, tuple((run, tuple(names)) for run, names in parts.items()))


def _check_same(output: str, manifest: Manifest, spec: EmbeddingSpec, settings: Settings) -> None:
    instead = "choose another folder, or --existing replace"
    if "collection" not in manifest:
        raise UsageError(f"--output {output} was made by an earlier version, and cannot be updated; {instead}")
    made_by = EmbeddingSpec.of(manifest["embedding_spec"])
    if made_by.fingerprint != spec.fingerprint:
        old, new = (dataclasses.asdict(one) for one in (made_by, spec))
        texts = [(name, _text(old[name]), _text(new[name])) for name in new]
        differ = [f"{name} {_short(before)} became {_short(now)}" for name, before, now in texts if before != now]
        raise UsageError(f"--output {output} holds embeddings of another spec: {', '.join(differ)}; {instead}")
    made = tuple(dict.fromkeys(filter(None, (format_of(entry["name"]) for entry in manifest["files"]))))
    if made and set(made) != set(settings.output_format):
        raise UsageError(
            f"--output {output} holds {','.join(made)}; give --output_format {','.join(made)}, or {instead}"
        )
    if manifest["top_k"] != settings.top_k:
        raise UsageError(f"--output {output} was made with --top_k {manifest['top_k']}; give it, or {instead}")
    _check_files(output, manifest, instead)


def _text(value: object) -> str:
    return str(list(value) if isinstance(value, tuple) else value)


def _short(text: str) -> str:
    return text if len(text) <= 24 else text[:12] + "…"


def _check_files(output: str, manifest: Manifest, instead: str) -> None:
    """Refuse files that are not as they were written, and those that no run wrote, which readers of folders read."""
    there = {name_of(metadata.path, output): metadata.size_in_bytes for metadata in files_below(output)}
    for entry in manifest["files"]:
        if there.get(entry["name"]) != entry["bytes"]:
            raise UsageError(f"--output {output}: {entry['name']} was removed or changed; restore it, or {instead}")
    for name in there:
        folder = os.path.dirname(name)
        if folder in (FAILURES.folder, *EMBEDDINGS) and not run_of(name) and name != FEATURES:
            raise UsageError(f"--output {output} holds {name}, which no run wrote; move it elsewhere")
