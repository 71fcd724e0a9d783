"""The command's work: what it prints, and what TensorBoard's projector serves of what it wrote."""

import io
import json
import pathlib

import numpy as np
import PIL.Image
import pytest
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from werkzeug.test import Client

from pipelines.options.commands.projector import parse
from pipelines.projector.projector_files import run
from tests.collection_files import collection, embedding
from tests.conftest import sample_image
from transforms.core.errors import UsageError


class Projector:
    """TensorBoard's plugin, asked as its page asks: for what is shown from a folder."""

    def __init__(self, folder: pathlib.Path):
        self.apps = ProjectorPlugin(TBContext(logdir=str(folder))).get_plugin_apps()

    def ask(self, route: str, **query: str) -> bytes:
        answer = Client(self.apps[route]).get(route, query_string={"run": ".", "num_rows": "100000", **query})
        assert answer.status_code == 200, answer.data
        data: bytes = answer.data
        return data

    def shown(self) -> tuple[dict, np.ndarray, list[list[str]]]:
        """Return the configuration, the vectors and the lines of metadata."""
        assert json.loads(self.ask("/runs")) == ["."]
        (one,) = json.loads(self.ask("/info"))["embeddings"]
        vectors = np.frombuffer(self.ask("/tensor", name=one["tensorName"]), np.float32)
        lines = self.ask("/metadata", name=one["tensorName"]).decode().removesuffix("\n").split("\n")
        return one, vectors.reshape(one["tensorShape"]), [line.split("\t") for line in lines]


def written(folder: pathlib.Path, *flags: str) -> Projector:
    assert run(parse(["--embeddings", str(folder / "made"), "--out", str(folder / "shown"), *flags])) == 0
    return Projector(folder / "shown")


def test_tensorboard_shows_vectors_metadata_and_pictures(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [embedding(str(tmp_path / f"{i}.png"), label=i % 2) for i in range(3)]
    for i in range(2):
        sample_image(i).save(tmp_path / f"{i}.png")
    collection(tmp_path / "made", rows)
    projector = written(tmp_path)
    one, vectors, lines = projector.shown()
    assert one["tensorName"] == "MobileNetV2"
    lengths = np.linalg.norm([row.embedding for row in rows], axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, np.array([row.embedding for row in rows]) / lengths, rtol=1e-5)
    assert lines == [["uri", "label"], *([row.source.uri, str(row.source.columns["label"])] for row in rows)]
    assert one["sprite"]["singleImageDim"] == [64, 64]
    sprite = PIL.Image.open(io.BytesIO(projector.ask("/sprite_image", name=one["tensorName"])))
    assert (sprite.format, sprite.size) == ("JPEG", (128, 128))
    assert capsys.readouterr().out.splitlines() == [
        "points    3 of 3 images",
        "pictures  2 of 64 x 64 px",
        "          1 could not be had: not_found 1",
        f"written   {tmp_path}/shown; to look at it: tensorboard --logdir {tmp_path}/shown",
    ]


def test_dots_need_no_image(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    collection(tmp_path / "made", [embedding(f"http://127.0.0.1:1/{i}.jpg", label=i) for i in range(9)])
    one, vectors, lines = written(tmp_path, "--no_pictures", "--limit=4").shown()
    assert "sprite" not in one
    assert (vectors.shape, len(lines)) == ((4, 4), 5)
    assert capsys.readouterr().out.startswith("points    4 of 9 images\nwritten   ")


def test_without_any_picture_there_are_dots(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    collection(tmp_path / "made", [embedding(f"{tmp_path}/{i}.jpg", label=i) for i in range(2)])
    one, vectors, _ = written(tmp_path).shown()
    assert ("sprite" not in one, len(vectors)) == (True, 2)
    assert capsys.readouterr().out.splitlines()[1:3] == [
        "pictures  0 of 64 x 64 px",
        "          2 could not be had: not_found 2",
    ]


def test_a_collection_is_not_written_into(tmp_path: pathlib.Path) -> None:
    collection(tmp_path, [embedding("/a.jpg", label=1)])
    with pytest.raises(UsageError, match="is the collection itself; choose another folder"):
        run(parse(["--embeddings", str(tmp_path), "--out", f"{tmp_path}/"]))
