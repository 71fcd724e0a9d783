"""What embeds as a collection was made: the backbone of its spec, and the proof that this machine computes the same."""

import dataclasses
import pathlib

import numpy as np
import pytest

from pipelines.command import main as embed_images
from pipelines.similar.collection import open_collection
from pipelines.similar.embedder import collection_backbone, embedder_of
from tests.pipelines.conftest import LIGHT
from tests.pipelines.similar.conftest import Made
from transforms import Image, ImageUri
from transforms.core.errors import RunError, UsageError
from transforms.decode.images import decode_from_spec
from transforms.embed.canary import Canary

MAX_PIXELS = 100_000_000


def difference(found: np.ndarray, row: np.ndarray) -> float:
    """Return the largest difference, as a part of the largest number: of random weights, all are tiny."""
    return float(np.abs(found - row).max() / np.abs(row).max())


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
def test_a_photo_of_the_collection_gets_its_row_s_vector(engine: str, made: Made) -> None:
    collection = open_collection(str(made.folder))
    uri = str(made.photos / "3.jpg")
    pixels = decode_from_spec(collection.spec, MAX_PIXELS)(Image(ImageUri(uri), pathlib.Path(uri).read_bytes()))
    backbone = collection_backbone(collection.spec, "", engine, False)
    ((_, found),), computed = embedder_of(collection, backbone, MAX_PIXELS)([pixels])
    assert difference(found.embedding, made.vectors[uri]) < 1e-3
    assert computed.worker.engine == engine


def test_a_photo_is_cut_as_those_of_the_collection_were(made: Made, tmp_path: pathlib.Path) -> None:
    photo = made.photos / "3.jpg"
    flags = ["--input", str(photo), "--output", str(tmp_path / "middles"), "--central_fraction=0.7", *LIGHT]
    assert embed_images(flags) == 0
    middles = made._replace(folder=tmp_path / "middles")
    collection = open_collection(str(middles.folder))
    pixels = decode_from_spec(collection.spec, MAX_PIXELS)(Image(ImageUri(str(photo)), photo.read_bytes()))
    backbone = collection_backbone(collection.spec, "", "auto", False)
    ((_, found),), _ = embedder_of(collection, backbone, MAX_PIXELS)([pixels])
    assert difference(found.embedding, middles.vectors[str(photo)]) < 1e-3
    assert difference(found.embedding, made.vectors[str(photo)]) > 0.1


def test_weights_are_refused_where_the_collection_needs_none(made: Made) -> None:
    with pytest.raises(UsageError, match="--weights is for own weights"):
        collection_backbone(open_collection(str(made.folder)).spec, "mine.h5", "auto", False)


def test_a_backbone_of_another_spec_is_refused_before_it_is_loaded(made: Made) -> None:
    collection = open_collection(str(made.folder))
    backbone = collection_backbone(collection.spec, "", "tensorflow", False)
    with pytest.raises(UsageError, match="a photo would be embedded by the spec "):
        embedder_of(collection, dataclasses.replace(backbone, pooling="max"), MAX_PIXELS)


def test_a_machine_that_computes_otherwise_is_found_out_when_it_loads(made: Made) -> None:
    collection = open_collection(str(made.folder))
    canary = Canary.of(collection.manifest["canary"])
    made.manifest(canary=Canary(canary.vectors[::-1], canary.decoding).entry())
    collection = open_collection(str(made.folder))
    backbone = collection_backbone(collection.spec, "", "tensorflow", False)
    with pytest.raises(RunError, match=r"computes other embeddings than the collection's first run did"):
        embedder_of(collection, backbone, MAX_PIXELS).loaded()
