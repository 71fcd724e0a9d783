"""The collection that is searched: its manifest, its files, and how their rows are read."""

import contextlib
import dataclasses
import glob
import os
from collections.abc import Iterator
from typing import NamedTuple, cast

import numpy as np

from transforms import EmbeddingSpec
from transforms.collection.columns import schema_of
from transforms.collection.layout import EMBEDDINGS, MANIFEST, format_of, path_of
from transforms.collection.manifest import FileEntry, Manifest, read_manifest
from transforms.core.errors import RunError, UsageError, one_line
from transforms.measure.near_duplicates import RowRange, Rows
from transforms.storage.gcs import check_access, install_hint
from transforms.storage.paths import canonical_uri, first_match
from transforms.write.shard_format import EmbeddingsFormat, RowKeys
from transforms.write.sinks import SINKS


@dataclasses.dataclass(frozen=True)
class ReadRows:
    """Read rows of a collection: RowRange -> uris, vectors float [N, D].

    Args:
      format: the format of its files.
      dim: width of its vectors.
    """

    format: EmbeddingsFormat
    dim: int

    def __call__(self, rows: RowRange) -> Rows:
        found = list(self.chunks(rows))
        return [uri for uris, _ in found for uri in uris], np.concatenate([vectors for _, vectors in found])

    def chunks(self, rows: RowRange) -> Iterator[Rows]:
        """Read rows, some at a time.

        Raises:
          RunError: they cannot be read, or are not what the manifest says.
        """
        left = rows.stop - rows.start
        with reading(rows.path):
            for uris, vectors in self.format.vectors(rows.path, rows.start, rows.stop):
                if vectors.shape[1:] != (self.dim,):
                    break
                left -= len(uris)
                yield uris, vectors
        if left:
            raise RunError(f"{rows.path} does not hold the rows that {MANIFEST} says; a run may have made it anew")


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Raise RunError for a file of a collection that cannot be read while the block runs."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise RunError(f"cannot read {path}; if a run has just replaced it, try again: {one_line(e)}") from e


class Collection(NamedTuple):
    """A collection that is committed.

    Attributes:
      manifest: its manifest.
      spec: how its vectors are made.
      entries: the manifest's entries of the files that are read, all of one format.
      files: the path of each, and its number of rows.
      read: function that reads rows of them.
      carried: names of the columns that it carries.
    """

    manifest: Manifest
    spec: EmbeddingSpec
    entries: list[FileEntry]
    files: list[tuple[str, int]]
    read: ReadRows
    carried: list[str]

    @property
    def rows(self) -> int:
        """Number of all rows."""
        return sum(rows for _, rows in self.files)

    def row_keys(self) -> Iterator[RowKeys]:
        """Read what tells the rows from others, with what they carry, some at a time; raise RunError."""
        for path, _ in self.files:
            with reading(path):
                yield from self.read.format.keys(path)


def open_collection(path: str) -> Collection:
    """Return the collection in a folder, with rows.

    Raises:
      UsageError: there is none, it is empty, or cannot be read.
    """
    collection = open_any_collection(path)
    if not collection.files:
        raise UsageError(f"the collection in --embeddings {path} has no embeddings")
    return collection


def open_any_collection(path: str) -> Collection:
    """Return the collection in a folder, perhaps without rows; of two formats, Parquet is read, which is faster.

    Raises:
      UsageError: there is none, or it cannot be read.
    """
    check_access([path])
    folder = canonical_uri(path)
    try:
        manifest = read_manifest(folder)
        if manifest is None:
            raise UsageError(f"there is no collection in --embeddings {path}{_one_below(folder)}")
        spec = EmbeddingSpec.of(manifest["embedding_spec"])
        by_format = {
            name: [file for file in manifest["files"] if format_of(file["name"]) == name] for name in EMBEDDINGS
        }
        format_ = next((name for name, found in by_format.items() if found), next(iter(EMBEDDINGS)))
        entries = by_format[format_]
        files = [(path_of(folder, file["name"]), int(file["rows"])) for file in entries]
        columns = schema_of(manifest.get("collection", {}).get("columns", ""))
    except UsageError:
        raise
    except (OSError, ValueError, KeyError, TypeError, ImportError) as e:
        raise UsageError(f"cannot read the collection in --embeddings {path}: {one_line(e)}{install_hint(path)}") from e
    reader = cast(EmbeddingsFormat, SINKS[format_](folder, manifest["run_id"], spec, columns).format())
    return Collection(manifest, spec, entries, files, ReadRows(reader, spec.dim), columns.names)


def _one_below(folder: str) -> str:
    """Return a hint at a collection in a folder of this one, where a run of several backbones puts them."""
    found = first_match(f"{glob.escape(folder)}/*/{MANIFEST}")
    return f"; did you mean {os.path.dirname(found)}?" if found else "; embed-images makes one, as its --output"
