"""Measure `similar-images` on made-up vectors: the matrix of a collection, one photo, all pairs.

python -m benchmarks.scale.similar --images 100000 --dim 1280

One vector in a hundred is a copy of the one before it, with noise. Embedding the photo itself is not measured here.
"""

import argparse
import contextlib
import os
import pathlib
import resource
import tempfile
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.compare import processor
from pipelines.similar.collection import open_collection
from pipelines.similar.matrix import matrix_of
from transforms import EmbeddingSpec
from transforms.collection.columns import embeddings_schema
from transforms.collection.layout import new_run_id
from transforms.collection.manifest import now
from transforms.commit.commit import Commit
from transforms.core.elements import Embedding, ImageFacts, ImageUri
from transforms.core.uri_sum import UriSum
from transforms.measure.nearest import nearest
from transforms.measure.pairs import pairs_above
from transforms.storage import cache
from transforms.write.parquet import ParquetFormat
from transforms.write.shard_format import rows_per_part
from transforms.write.shard_plan import WrittenFile

ROWS_A_FILE = 50_000
FACTS = ImageFacts(500, 375, "JPEG", "0" * 64)


def main() -> None:
    """Measure, and print a line for each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=1280)
    parser.add_argument("--above", type=float, default=0.95)
    parser.add_argument("--no_pairs", action="store_true", help="leave out all pairs, which take longest")
    arguments = parser.parse_args()
    print(f"{arguments.images:,} vectors of {arguments.dim:,}, {os.cpu_count()} cores of {processor()}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ[cache.VARIABLE] = os.path.join(folder, "cache")
        with timed("a collection is made up"):
            make_up(os.path.join(folder, "out"), arguments.images, arguments.dim)
        collection = open_collection(os.path.join(folder, "out"))
        with timed("its matrix is made"), matrix_of(collection):
            pass
        with timed("its matrix is mapped"), matrix_of(collection) as matrix:
            pass
        for way in ("one photo", "another photo"):
            with timed(way):
                nearest(matrix.vectors, matrix.vectors[-1:], 10, [len(matrix.vectors) - 1])
        if not arguments.no_pairs:
            with timed("all pairs"):
                found = sum(len(some.a) for some in pairs_above(matrix.vectors, arguments.above))
            print(f"  {found:,} pairs")


@contextlib.contextmanager
def timed(step: str) -> Iterator[None]:
    """Print how long the block took, and the peak of the process's memory so far."""
    started = time.perf_counter()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"  {step:<24} {time.perf_counter() - started:8.2f} s, peak {peak:,.0f} MB", flush=True)


def make_up(folder: str, images: int, dim: int) -> None:
    """Write a collection of made-up vectors to a folder."""
    spec = EmbeddingSpec(
        backbone="MobileNetV2",
        backbone_kwargs={},
        weights="random",
        weights_sha256="",
        output="avg",
        classifier_activation=None,
        image_size=(224, 224),
        decoded_for=(224, 224),
        resize="crop",
        resize_filter="bilinear",
        pixels_policy="",
        precision="float32",
        normalize=False,
        embedding_dtype="float32",
        dim=dim,
    )
    run_id, format_ = new_run_id(), ParquetFormat(embeddings_schema(spec), rows_per_part(dim))
    found: list[tuple[str, object]] = []
    count = -(-images // ROWS_A_FILE)
    for number, start in enumerate(range(0, images, ROWS_A_FILE)):
        rows = range(start, min(start + ROWS_A_FILE, images))
        path = pathlib.Path(folder, format_.kind.shard_name(run_id, number, count))
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = (rows[i : i + format_.rows_per_part] for i in range(0, len(rows), format_.rows_per_part))
        format_.write(str(path), (format_.encode(list(made_up(part, dim))) for part in parts))
        uris = UriSum.of(map(uri_of, rows))
        written = WrittenFile(path.relative_to(folder).as_posix(), uris, path.stat().st_size)
        found += [("inputs", uris), ("embeddings", written)]
    Commit(folder, run_id, spec, now())(found)


def made_up(rows: range, dim: int) -> Iterator[Embedding]:
    """Make up rows, one in a hundred a noisy copy of the one before."""
    random = np.random.default_rng(rows.start)
    vectors = random.standard_normal((len(rows), dim), np.float32)
    for i, row in enumerate(rows):
        if i and row % 100 == 0:
            vectors[i] = vectors[i - 1] + 0.1 * vectors[i]
        yield Embedding(ImageUri(uri_of(row)), FACTS, vectors[i])


def uri_of(row: int) -> str:
    """Return the uri of a row."""
    return f"https://images.example/photos/{row:010d}.jpg"


if __name__ == "__main__":
    main()
