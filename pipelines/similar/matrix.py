"""The vectors of a collection as one matrix in a file, in the cache folder: made once, then mapped into memory.

Its entry is named after the files that the manifest names, which never change: another collection is another entry.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.console.progress import LiveLine
from pipelines.similar.collection import Collection
from transforms.core.errors import UsageError, one_line
from transforms.measure.cosines import unit_vectors
from transforms.measure.near_duplicates import RowRange
from transforms.storage import cache
from transforms.storage.locks import is_lockable, locked

PREFIX = "similar-"
VECTORS, URIS = "vectors.npy", "uris.arrow"
SCHEMA = pa.schema([pa.field("uri", pa.string(), nullable=False)])


class Matrix(NamedTuple):
    """The rows of a collection.

    Attributes:
      vectors: `unit_vectors`, float32 [N, D], in a file that is mapped into memory.
      uris: text [N], likewise.
    """

    vectors: np.ndarray
    uris: pa.ChunkedArray

    def row_of(self, uri: str) -> int | None:
        """Return the row of an image; None if it has none."""
        row: int = pc.index(self.uris, pa.scalar(uri, pa.string())).as_py()
        return None if row < 0 else row

    def uris_of(self, rows: Sequence[int] | np.ndarray) -> list[str]:
        """Return the uris of rows."""
        uris: list[str] = self.uris.take(pa.array(rows, pa.int64())).to_pylist()
        return uris


def sample(of: int, number: int, random: np.random.Generator) -> np.ndarray:
    """Choose so many of some rows, or all if there are fewer: int64 [N], rising."""
    return np.arange(of) if of <= number else np.sort(random.choice(of, number, replace=False))


@contextlib.contextmanager
def matrix_of(collection: Collection) -> Iterator[Matrix]:
    """Map the matrix of a collection while the block runs; make it first if it is not kept.

    Raises:
      UsageError: there is no room for it.
      RunError: a file of the collection cannot be read.
    """
    entry = os.path.join(cache.root(), f"{PREFIX}{_name_of(collection)}")
    # The cache would remove at once what is larger than all of it may be.
    is_kept = _num_bytes(collection) < cache.MAX_BYTES and cache.is_writable() and is_lockable(f"{entry}.lock")
    if not is_kept:
        with tempfile.TemporaryDirectory(prefix="similar-images-") as folder:
            _write(collection, folder)
            yield _mapped(folder)
        return
    with locked(f"{entry}.lock"):
        if not os.path.isdir(entry):
            cache.add(entry, lambda folder: _write(collection, folder))
        # Marks the entry as used now, so that it is not trimmed next.
        os.utime(entry)
        matrix = _mapped(entry)
    yield matrix


def _name_of(collection: Collection) -> str:
    decided = json.dumps([collection.spec.fingerprint, collection.entries], sort_keys=True)
    return hashlib.sha256(decided.encode()).hexdigest()[:32]


def _mapped(folder: str) -> Matrix:
    with pa.memory_map(os.path.join(folder, URIS)) as source:
        uris = pa.ipc.open_file(source).read_all().column("uri")
    return Matrix(np.load(os.path.join(folder, VECTORS), mmap_mode="r"), uris)


def _write(collection: Collection, folder: str) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (collection.rows, collection.spec.dim)}
    try:
        # Written, not mapped: a full disk would end the process.
        with (
            open(os.path.join(folder, VECTORS), "wb") as vectors,
            pa.ipc.new_file(os.path.join(folder, URIS), SCHEMA) as uris,
            LiveLine() as line,
        ):
            done = 0
            np.lib.format.write_array_header_1_0(vectors, header)
            for path, rows in collection.files:
                for some, found in collection.read.chunks(RowRange(path, 0, rows)):
                    vectors.write(unit_vectors(found).astype("<f4", copy=False).data)
                    uris.write(pa.record_batch([pa.array(some, pa.string())], schema=SCHEMA))
                    done += len(some)
                    line.show_share("reading the vectors", done, collection.rows)
    except OSError as e:
        raise UsageError(
            f"cannot write the vectors, {_num_bytes(collection) / 1e9:.1f} GB, to {folder}: {one_line(e)}; make room, "
            f"or let {cache.VARIABLE} name a folder with more"
        ) from e


def _num_bytes(collection: Collection) -> int:
    return 4 * collection.rows * collection.spec.dim
