"""A small collection that a run has made of photos, some of which are alike, and how the command is tried on it."""

import json
import pathlib
import shutil
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.command import main as embed_images
from pipelines.options.commands.similar import Settings, parse
from tests.conftest import sample_image
from tests.pipelines.conftest import LIGHT

IMAGES = 7


class Made(NamedTuple):
    """A collection: the folder of its photos, its own folder."""

    photos: pathlib.Path
    folder: pathlib.Path

    @property
    def vectors(self) -> dict[str, np.ndarray]:
        """The vectors by uri, read by Arrow alone."""
        table = pq.read_table(self.folder / "parquet")
        return dict(zip(table["uri"].to_pylist(), map(np.array, table["embedding"].to_pylist()), strict=True))

    def cosine(self, uri: str, other: str) -> float:
        """The cosine of two rows, in float64."""
        a, b = (self.vectors[one].astype(np.float64) for one in (uri, other))
        return float(a @ b / np.sqrt((a @ a) * (b @ b)))

    def manifest(self, **changes: Any) -> None:
        """Change some entries of the manifest."""
        path = self.folder / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The collection, made once; `made` gives each test a copy."""
    folder = tmp_path_factory.mktemp("similar")
    photos = folder / "photos"
    photos.mkdir()
    for i in range(IMAGES):
        sample_image(i).save(photos / f"{i}.jpg", quality=92)
    for i in range(2):
        sample_image(i).save(photos / f"{i}_again.jpg", quality=60)
    output = ["--output", str(folder / "out"), "--output_format", "parquet,tfrecord"]
    assert embed_images(["--input", str(photos), *output, *LIGHT]) == 0
    return Made(photos, folder / "out")


@pytest.fixture
def made(made_once: Made, tmp_path: pathlib.Path) -> Made:
    """A copy of the collection that a test may change; its photos are those of all."""
    return Made(made_once.photos, pathlib.Path(shutil.copytree(made_once.folder, tmp_path / "made")))


def settings_of(made: Made, *arguments: object) -> Settings:
    """Return the settings of a command line for a collection."""
    return parse(["--embeddings", str(made.folder), *map(str, arguments)])[0]
