"""Measure the steps of a large run that one worker does alone, each by itself."""

import dataclasses
import json
import os
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
from apache_beam.coders import FastPrimitivesCoder

from benchmarks.grown import list_images
from transforms.collection.layout import FAILURES, MANIFEST
from transforms.collection.manifest import read_manifest
from transforms.commit.commit import file_entry
from transforms.core.elements import ImageUri
from transforms.core.failures import Failure
from transforms.core.uri_sum import UriSum, uri_hash
from transforms.measure.health import VectorHealth
from transforms.read.uri_lists import UriList, carried_by
from transforms.update.rows import VALUES, rows_of
from transforms.write.embeddings import SHARD_BYTES
from transforms.write.failures import FailuresFormat
from transforms.write.shard_format import rows_per_part
from transforms.write.shard_plan import Part, WrittenFile, plan_shards, to_json
from transforms.write.shards import PART_SECONDS

DIM, ROW_BYTES = 1280, 4 * 1280 + 100
IMAGES_A_SECOND = 300
"""Of a process that embeds."""
IMAGES_A_PART = min(rows_per_part(DIM), int(PART_SECONDS * IMAGES_A_SECOND))
IMAGES_A_BUNDLE = 20_000


@dataclasses.dataclass(frozen=True)
class Step:
    """A step, and what it costs.

    Attributes:
      name: what is done.
      unit: 's' or 'MB'.
      per_unit: cost of one of what it was measured with.
      shown_for: number of these for which the table shows it.
      shown: these, in words.
      per_image: cost of one image of a large job.
      before: cost in the first version, in words.
    """

    name: str
    unit: str
    per_unit: float
    shown_for: float
    shown: str
    per_image: float
    before: str = ""


def measure_steps() -> list[Step]:
    """Return the steps, measured on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_of_lists(folder), *_of_parts(), *_of_files(folder), *_of_combining(), _of_failures(folder)]


def _seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def _of_lists(folder: str, rows: int = 300_000) -> Iterator[Step]:
    path = os.path.join(folder, "list.csv")
    sources = list_images(path, (f"https://images.example/photos/{i:010d}.jpg" for i in range(rows)))
    lines = os.path.join(folder, "list.jsonl")
    with open(lines, "w", encoding="utf-8") as f:
        f.writelines(json.dumps({"uri": source.uri, **source.columns}) + "\n" for source in sources)
    for name, one, before in (("CSV", path, "5 s"), ("JSON lines", lines, "22 s")):
        each = _seconds(lambda one=one: carried_by([UriList(one)], "uri")) / rows
        yield Step(f"types of {name} at launch", "s", each, 1e6, "a million rows", each, before)
    coder = FastPrimitivesCoder()
    size = sum(len(coder.encode((s.uri, ((0, i), s.columns, s.version)))) for i, s in enumerate(sources[:1000])) / 1e9
    yield Step("rows grouped by uri", "MB", size, 1e6, "a million rows of five columns", size)
    hashes = [uri_hash(source.uri) for source in sources]
    numbers = {name: np.arange(rows) for name in VALUES}
    known = rows_of(hashes, {**numbers, "asked": [""] * rows})
    arrays = [known.uris.high, known.uris.low, *(getattr(known, name) for name in VALUES)]
    size = sum(array.nbytes for array in arrays) / rows / 1e6
    yield Step("memory of what is known, each process", "MB", size, 1e6, "a million images", size, "1,117 MB")


def _of_parts(parts: int = 200_000) -> Iterator[Step]:
    made = [Part(f"gs://bucket/out/.run-1/part-{i:032x}.parquet", 9000, 9000 * ROW_BYTES) for i in range(parts)]
    size = len(pickle.dumps(made)) / 1e6 / parts
    yield Step("names of parts, to one worker", "MB", size, 1e5, "100,000 parts", size / IMAGES_A_PART)
    each = _seconds(lambda: to_json(plan_shards(made, FAILURES, "20261129T000000-000000", None, SHARD_BYTES))) / parts
    yield Step("plan of the files", "s", each, 1e5, "100,000 parts", each / IMAGES_A_PART, "64 s")


def _of_files(folder: str, files: int = 100_000) -> Iterator[Step]:
    name = "parquet/embeddings-20261129T000000-000000-{:05d}-of-{:05d}.parquet"
    entries = [
        file_entry(WrittenFile(name.format(i, files), UriSum(50_000, 2**63 + i), 256 << 20)) for i in range(files)
    ]
    path = os.path.join(folder, MANIFEST)

    def write_and_read() -> None:
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"run_id": "1", "files": entries}, f, indent=2)
        read_manifest(folder)

    each, images = _seconds(write_and_read) / files, SHARD_BYTES / ROW_BYTES
    yield Step("manifest written and read", "s", each, 1e5, "100,000 files", each / images)
    size = os.path.getsize(path) / 1e6 / files
    yield Step("size of the manifest", "MB", size, 1e5, "100,000 files", size / images, "13.5 MB")
    yield Step("files", "", 1.0, 1, "256 MiB", 1 / images)


def _of_combining() -> Iterator[Step]:
    random, health = np.random.default_rng(0), VectorHealth()
    for _ in range(IMAGES_A_BUNDLE):
        health.add(random.standard_normal(DIM, np.float32))
    health.settle()
    size, shown = len(pickle.dumps(health)) / 1e6, f"a hundred bundles of {IMAGES_A_BUNDLE:,} images"
    yield Step(
        "health of vectors, to 16 workers", "MB", size, 100, shown, size / IMAGES_A_BUNDLE, "130 MB more, to one"
    )


def _of_failures(folder: str, rows: int = 100_000) -> Step:
    lost = [
        Failure(
            ImageUri(f"https://images.example/photos/{i:010d}.jpg", {"label": "a"}),
            "fetch",
            "not_found",
            "permanent",
            "HTTPError",
            "404",
        )
        for i in range(rows)
    ]
    format_ = FailuresFormat()

    def write_twice() -> None:
        part, shard = os.path.join(folder, "part"), os.path.join(folder, "shard")
        format_.write(part, [format_.encode(lost)])
        uris = []
        for chunk in format_.read(part):
            uris.append(UriSum.of(format_.uris(chunk)))
            format_.write(shard, [chunk])

    each = _seconds(write_twice) / rows
    return Step("failures, if all images are lost", "s", each, 1e6, "a million failures", each, "30 to 40 s")
