"""Make inputs of many known images: a collection that a run began grows by rows with made-up vectors."""

import csv
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import PIL.Image

from pipelines.sample_images import sample_pixels
from transforms import EmbeddingSpec
from transforms.collection.columns import schema_of
from transforms.collection.layout import MANIFEST, new_run_id
from transforms.collection.manifest import read_manifest
from transforms.commit.commit import file_entry
from transforms.core.elements import Embedding, ImageFacts, ImageUri
from transforms.core.image_versions import file_version, listed_version
from transforms.core.uri_sum import UriSum
from transforms.write.embeddings import SHARD_BYTES
from transforms.write.parquet import WriteEmbeddingsToParquet
from transforms.write.shard_plan import WrittenFile

LINKS = 50_000
"""Names of one file: ext4 allows 65,000."""
PER_FOLDER = 10_000
OTHER_BYTES = 100
"""About the bytes of a row without its vector."""
SMALL, PHOTO = (64, 64), (500, 375)
"""Width and height of an image, in px."""


def write_image(folder: str, number: int, size: tuple[int, int] = SMALL) -> str:
    """Write a JPEG, a different one for each number; return its path."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"{number:08d}.jpg")
    PIL.Image.fromarray(sample_pixels(number, *size)).save(path, quality=90)
    return path


def link_images(folder: str, images: int, size: tuple[int, int] = SMALL, links: int = LINKS) -> list[ImageUri]:
    """Make folders of this many images, each file of which has so many names; return them with their versions."""
    made = []
    for i in range(images):
        below = os.path.join(folder, f"{i // PER_FOLDER:05d}")
        path = os.path.join(below, f"{i:08d}.jpg")
        if i % links == 0:
            linked = write_image(below, i, size)
            found = os.stat(path)
        else:
            os.makedirs(below, exist_ok=True)
            os.link(linked, path)
        made.append(ImageUri(path, version=file_version(found.st_mtime_ns, found.st_size)))
    return made


def list_images(path: str, uris: Iterable[str], label: str = "label") -> list[ImageUri]:
    """Write a CSV of images, with their versions in `revision`, and three more columns; return them."""
    return list(listed_images(path, uris, label))


def listed_images(path: str, uris: Iterable[str], label: str = "label") -> Iterator[ImageUri]:
    """Write a CSV as `list_images` does; yield each image, of which there may be more than memory holds."""
    with open(path, "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, ["uri", "revision", "label", "photographer", "taken"])
        writer.writeheader()
        for i, uri in enumerate(uris):
            columns = {"revision": f"r{i % 7}", "label": f"{label} {i % 1000}", "photographer": f"person {i % 5000}"}
            source = ImageUri(uri, {**columns, "taken": 1_600_000_000 + i}, listed_version(columns["revision"]))
            writer.writerow({"uri": uri, **source.columns})
            yield source


def grow(output: str, sources: Sequence[ImageUri]) -> None:
    """Add rows with made-up vectors to the collection in a folder, which holds none of these uris."""
    manifest: Any = read_manifest(output)
    spec, columns = EmbeddingSpec.of(manifest["embedding_spec"]), schema_of(manifest["collection"]["columns"])
    run_id, random = new_run_id(), np.random.default_rng(0)
    format_ = WriteEmbeddingsToParquet(output, run_id, spec, columns).format()
    files = _chunks(sources, SHARD_BYTES // (4 * spec.dim + OTHER_BYTES))
    for number, rows in enumerate(files):
        name = format_.kind.shard_name(run_id, number, len(files))
        path = pathlib.Path(output, name)
        parts = _chunks(rows, format_.rows_per_part)
        format_.write(str(path), (format_.encode(_made_up(part, spec.dim, random)) for part in parts))
        uris = UriSum.of(source.uri for source in rows)
        manifest["files"].append(file_entry(WrittenFile(name, uris, path.stat().st_size)))
    manifest["collection"]["rows"] += len(sources)
    pathlib.Path(output, MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def _chunks(sources: Sequence[ImageUri], size: int) -> list[Sequence[ImageUri]]:
    return [sources[i : i + size] for i in range(0, len(sources), size)]


def _made_up(sources: Sequence[ImageUri], dim: int, random: np.random.Generator) -> list[Embedding]:
    vectors = random.standard_normal((len(sources), dim), np.float32)
    numbers = random.bytes(32 * len(sources)).hex()
    return [
        Embedding(source, ImageFacts(*SMALL, "JPEG", numbers[64 * i : 64 * (i + 1)]), vector)
        for i, (source, vector) in enumerate(zip(sources, vectors, strict=True))
    ]
