"""The way of an image: the outputs and the times of the stages that it came to, and the failure of the last one."""

from typing import Any

import numpy as np
import pytest

from pipelines.explain.way import Way, way_of
from tests.fake_backbone import SIZE, FakeBackbone, pixels
from transforms import Backbone, EmbedImages
from transforms.core.elements import Image, ImageUri, Pixels
from transforms.core.errors import ImageError, UsageError
from transforms.embed.images import EmbedBatch

SOURCE = ImageUri("7")


def fetch(source: ImageUri) -> Image:
    return Image(source, b"encoded")


def decode(image: Image) -> Pixels:
    return pixels(int(image.source.uri))


def load(poison: tuple[int, ...] = ()) -> EmbedBatch:
    backbone = Backbone(image_size=SIZE, engine="tensorflow")
    return EmbedBatch(EmbedImages(backbone, load=lambda _: FakeBackbone(poison)))


def lost(reason: str) -> Any:
    def fail(_: Any) -> Any:
        raise ImageError(reason, "no luck", transient=True, attempts=3)

    return fail


def test_an_image_that_is_embedded_has_the_output_and_the_time_of_each_stage() -> None:
    way = way_of(SOURCE, fetch, decode, load)
    assert way.image is not None
    assert way.image.data == b"encoded"
    assert way.pixels is not None
    assert way.embedding is not None
    np.testing.assert_array_equal(way.embedding.embedding, [7, 14])
    assert way.computed is not None
    assert way.computed.worker.device == "CPU"
    assert list(way.seconds) == ["fetch", "decode", "load", "embed"]
    assert min(way.seconds.values()) > 0
    assert way.failure is None


@pytest.mark.parametrize(
    ("stage", "stages"), [("fetch", (lost("timeout"), decode)), ("decode", (fetch, lost("corrupt")))]
)
def test_a_way_that_ends_early_loads_no_backbone(stage: str, stages: Any) -> None:
    def never() -> EmbedBatch:
        raise AssertionError("the backbone is not needed")

    way = way_of(SOURCE, *stages, never)
    assert list(way.seconds)[-1] == stage
    assert way.embedding is None
    assert way.failure is not None
    assert (way.failure.stage, way.failure.kind, way.failure.message) == (stage, "transient", "no luck")
    assert (way.failure.attempts, way.failure.source) == (3, SOURCE)


def test_an_image_that_the_backbone_chokes_on_fails_as_in_a_batch() -> None:
    way = way_of(SOURCE, fetch, decode, lambda: load(poison=(7,)))
    assert way.failure is not None
    assert (way.failure.stage, way.failure.reason, way.failure.message) == ("embed", "inference", "poison")


def test_a_backbone_that_cannot_be_loaded_is_no_failure_of_the_image() -> None:
    def broken() -> EmbedBatch:
        raise UsageError("there is no weights file")

    with pytest.raises(UsageError, match="there is no weights file"):
        way_of(SOURCE, fetch, decode, broken)


def test_a_stage_that_raises_has_its_time() -> None:
    way = Way(SOURCE)
    with pytest.raises(ZeroDivisionError):
        way.timed("divide", lambda: 1 / 0)
    assert way.seconds["divide"] > 0
