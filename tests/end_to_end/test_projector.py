"""What TensorBoard's projector shows of what a run made: each point beside its label and its picture."""

import io
import pathlib

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest

from pipelines.command import main as embed_images
from pipelines.projector.command import main as projector_files
from tests.conftest import sample_image
from tests.pipelines.projector.test_projector_files import Projector
from tests.pipelines.projector.test_sprite import drawn
from tests.servers.gcs import GcsServer

LIGHT = ["--weights", "random", "--backbone", "MobileNet", "--backbone_kwargs", '{"alpha": 0.25}', "--image_size", "32"]
IMAGES = 5


def list_of(folder: str) -> str:
    """Return a uri list with a label for each image."""
    return "uri,label\n" + "".join(f"{folder}/{i}.png,{'even' if i % 2 == 0 else 'odd'}\n" for i in range(IMAGES))


def save_images(folder: pathlib.Path) -> None:
    folder.mkdir()
    for i in range(IMAGES):
        sample_image(i).save(folder / f"{i}.png")


def check(projector: Projector, vectors: dict[str, np.ndarray], folder: pathlib.Path) -> None:
    """Check what is shown against the vectors of a collection and the images in a folder, by their uris' last parts."""
    one, shown, (header, *lines) = projector.shown()
    assert header == ["uri", "label"]
    assert len(lines) == IMAGES
    sprite = np.asarray(PIL.Image.open(io.BytesIO(projector.ask("/sprite_image", name=one["tensorName"]))))
    for i, (vector, (uri, label)) in enumerate(zip(shown, lines, strict=True)):
        name = uri.rpartition("/")[2]
        assert label == ("even" if int(name[0]) % 2 == 0 else "odd")
        expected = vectors[name].astype(np.float64)
        np.testing.assert_allclose(vector, expected / np.sqrt(expected @ expected), atol=1e-6)
        with PIL.Image.open(folder / name) as image:
            side = min(image.size)
            cropped = image.crop(box(image.size, side)).resize((64, 64), PIL.Image.Resampling.BOX)
        difference = drawn(sprite, i).astype(int) - np.asarray(cropped)
        # Other pictures are off by five times as much.
        assert np.abs(difference).mean() < 10, uri


def box(size: tuple[int, int], side: int) -> tuple[int, int, int, int]:
    left, top = ((length - side) // 2 for length in size)
    return left, top, left + side, top + side


def vectors_in(folder: pathlib.Path) -> dict[str, np.ndarray]:
    table = pq.read_table(folder / "parquet", columns=["uri", "embedding"])
    return {row["uri"].rpartition("/")[2]: np.array(row["embedding"]) for row in table.to_pylist()}


@pytest.mark.parametrize("vector_type", ["list", "fixed_size_list"])
def test_a_labelled_collection_is_shown(vector_type: str, tmp_path: pathlib.Path) -> None:
    save_images(tmp_path / "images")
    (tmp_path / "list.csv").write_text(list_of(str(tmp_path / "images")))
    made, shown = str(tmp_path / "made"), str(tmp_path / "shown")
    flags = ["--vector_type", vector_type, *LIGHT]
    assert embed_images(["--input", str(tmp_path / "list.csv"), "--output", made, *flags]) == 0
    assert projector_files(["--embeddings", made, "--out", shown]) == 0
    check(Projector(tmp_path / "shown"), vectors_in(tmp_path / "made"), tmp_path / "images")


@pytest.mark.exhaustive
def test_a_collection_of_tfrecord_in_a_bucket_is_shown_from_a_copy(gcs: GcsServer, tmp_path: pathlib.Path) -> None:
    folder = f"gs://{gcs.bucket}"
    save_images(tmp_path / "images")
    gcs.put_folder(tmp_path / "images", "images")
    for where, format_ in ((str(tmp_path), "parquet"), (folder, "tfrecord")):
        (tmp_path / f"{format_}.csv").write_text(list_of(f"{where}/images"))
        flags = ["--output", f"{where}/made", "--output_format", format_, *LIGHT]
        assert embed_images(["--input", str(tmp_path / f"{format_}.csv"), *flags]) == 0
    assert projector_files(["--embeddings", f"{folder}/made", "--out", f"{folder}/shown"]) == 0
    (tmp_path / "shown").mkdir()
    for name in gcs.names("shown/"):
        (tmp_path / name).write_bytes(gcs.get(name))
    check(Projector(tmp_path / "shown"), vectors_in(tmp_path / "made"), tmp_path / "images")
