"""Pixels to embeddings in a pipeline: loaded once, a batch ahead, losses apart."""

import collections
import dataclasses
import pickle
import threading
import time
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from tests.fake_backbone import SIZE, FakeBackbone, pixels
from transforms import Backbone, EmbedImages, Pixels
from transforms.core.errors import RunError
from transforms.embed.canary import Canary
from transforms.embed.images import EmbedBatch


@pytest.mark.parametrize(("device", "given", "expected"), [("GPU", None, 32), ("CPU", None, 64), ("GPU", 8, 8)])
def test_the_worker_decides_on_the_batch_unless_it_is_given(device: str, given: int | None, expected: int) -> None:
    def load(backbone: Backbone) -> FakeBackbone:
        fake = FakeBackbone()
        fake.device, fake.device_memory = device, 4 << 30
        return fake

    assert EmbedBatch(EmbedImages(batch_size=given, load=load)).loaded().embedder.batch_size == expected


def test_a_required_gpu_that_is_not_there_fails_at_once() -> None:
    with pytest.raises(RuntimeError, match="a GPU is required"):
        EmbedBatch(EmbedImages(require_gpu=True, load=load_fake)).loaded()


@pytest.mark.parametrize(
    ("arguments", "on_gpu", "expected"),
    [
        ({}, False, 64),
        ({}, True, 256),
        ({"require_gpu": True}, False, 256),
        ({"batch_size": 5}, True, 5),
        ({"backbone": Backbone(image_size=(448, 448))}, False, 16),
    ],
)
def test_as_many_images_are_gathered_as_the_largest_batch_may_have(
    arguments: dict[str, Any], on_gpu: bool, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.embed.images.has_gpu", lambda: on_gpu)
    assert EmbedImages(**arguments).images_per_batch == expected


loads: collections.Counter[str] = collections.Counter()


def load_fake(backbone: Backbone) -> FakeBackbone:
    loads[backbone.name] += 1
    return FakeBackbone(poison=(4,))


def test_embed_images_splits_embeddings_from_failures_and_loads_once() -> None:
    loads.clear()
    with beam.Pipeline(runner=FnApiRunner()) as p:
        embed_images = EmbedImages(Backbone(image_size=SIZE), 4, "float16", load=load_fake)
        embeddings, unembedded, _ = p | beam.Create([pixels(v) for v in range(10)]) | embed_images
        assert_that(
            embeddings | "Values" >> beam.Map(lambda e: (e.source.uri, e.embedding.tolist(), str(e.embedding.dtype))),
            equal_to([(str(v), [v, 2 * v], "float16") for v in range(10) if v != 4]),
        )
        assert_that(
            unembedded | "Reasons" >> beam.Map(lambda f: (f.source.uri, f.stage, f.reason, f.error)),
            equal_to([("4", "embed", "inference", "ValueError")]),
            label="failures",
        )
    assert loads == {"MobileNetV2": 1}


def test_copies_of_it_in_a_process_share_one_backbone() -> None:
    loads.clear()
    packed = pickle.dumps(EmbedBatch(EmbedImages(load=load_fake)))
    first, second = pickle.loads(packed), pickle.loads(packed)
    assert first.loaded() is second.loaded()
    assert loads == {"MobileNetV2": 1}


loaded = threading.Event()


def load_noted(backbone: Backbone) -> FakeBackbone:
    loaded.set()
    return FakeBackbone()


def when_loaded(pixels: Pixels) -> Pixels:
    if not loaded.wait(10):
        raise TimeoutError("the backbone waits for an image")
    return pixels


def test_the_backbone_is_loaded_while_the_first_image_is_still_to_come() -> None:
    loaded.clear()
    with beam.Pipeline(runner=FnApiRunner()) as p:
        images = p | beam.Create([pixels(1)], reshuffle=False) | beam.Map(when_loaded)
        embeddings, _, _ = images | EmbedImages(Backbone(image_size=SIZE), 4, load=load_noted)
        assert_that(embeddings | "Values" >> beam.Map(lambda e: e.embedding[0]), equal_to([1]))


seen: list[int] = []
gathered_again = threading.Event()


def see(pixels: Pixels) -> Pixels:
    seen.append(int(pixels.source.uri))
    if len(seen) == 8:
        gathered_again.set()
    return pixels


class Waiting(FakeBackbone):
    """Its first batch takes until the second one is gathered."""

    def __call__(self, batch: np.ndarray, index: int = 0) -> np.ndarray:
        if not gathered_again.wait(10):
            raise TimeoutError("nobody gathers the next batch")
        return super().__call__(batch)


def load_waiting(backbone: Backbone) -> FakeBackbone:
    return Waiting()


def test_the_next_batch_is_gathered_while_one_is_computed() -> None:
    seen.clear()
    gathered_again.clear()
    with beam.Pipeline(runner=FnApiRunner()) as p:
        images = p | beam.Create([pixels(v) for v in range(12)], reshuffle=False) | beam.Map(see)
        embeddings, unembedded, _ = images | EmbedImages(Backbone(image_size=SIZE), 4, load=load_waiting)
        assert_that(embeddings | "Values" >> beam.Map(lambda e: e.embedding[0]), equal_to(list(range(12))))
        assert_that(unembedded, equal_to([]), label="failures")


ahead: list[int] = []


class Slow(FakeBackbone):
    """Notes how many images have come when a batch is done, after a time in which all might come."""

    def __call__(self, batch: np.ndarray, index: int = 0) -> np.ndarray:
        time.sleep(0.05)
        ahead.append(len(seen) - sum(shape[0] for shape in self.shapes))
        return super().__call__(batch)


def load_slow(backbone: Backbone) -> FakeBackbone:
    return Slow()


def test_three_batches_are_held_at_most() -> None:
    seen.clear()
    ahead.clear()
    with beam.Pipeline(runner=FnApiRunner()) as p:
        images = p | beam.Create([pixels(v) for v in range(80)], reshuffle=False) | beam.Map(see)
        _ = images | EmbedImages(Backbone(image_size=SIZE), 4, load=load_slow)
    # The first two are the reference images', of which there are eight.
    assert len(ahead) == 2 + 20
    assert 8 <= max(held + 8 for held in ahead[2:]) <= 12


def shuffled(canary: Canary) -> Canary:
    """Return the canary of a process that takes one image for another."""
    return dataclasses.replace(canary, vectors=canary.vectors[::-1])


def test_each_process_tells_its_canary() -> None:
    embed_images = EmbedImages(Backbone(image_size=SIZE), 4, decoding=lambda: "ab", load=load_noted)
    expected = EmbedBatch(embed_images).loaded().computed
    with beam.Pipeline(runner=FnApiRunner()) as p:
        _, _, canaries = p | beam.Create([pixels(v) for v in range(80)], reshuffle=False) | embed_images
        told = canaries | beam.Map(lambda c: (c.worker, c.canary.decoding, c.canary.vectors.tolist()))
        assert_that(told, equal_to([(expected.worker, "ab", expected.canary.vectors.tolist())]))
    assert expected.worker.device == "CPU"


def test_a_process_that_computes_what_the_first_run_did_embeds() -> None:
    canary = EmbedBatch(EmbedImages(Backbone(image_size=SIZE), load=load_noted)).loaded().computed.canary
    with beam.Pipeline(runner=FnApiRunner()) as p:
        images = p | beam.Create([pixels(1)], reshuffle=False)
        embeddings, _, _ = images | EmbedImages(Backbone(image_size=SIZE), canary=canary, load=load_noted)
        assert_that(embeddings | "Values" >> beam.Map(lambda e: e.embedding[0]), equal_to([1]))


def test_a_process_that_computes_otherwise_fails_before_it_embeds() -> None:
    canary = EmbedBatch(EmbedImages(Backbone(image_size=SIZE), load=load_noted)).loaded().computed.canary
    fakes: list[FakeBackbone] = []

    def load(backbone: Backbone) -> FakeBackbone:
        fakes.append(FakeBackbone())
        return fakes[-1]

    embed = EmbedBatch(EmbedImages(Backbone(image_size=SIZE), canary=shuffled(canary), load=load))
    with pytest.raises(RunError, match="computes other embeddings"):
        embed([pixels(1)])
    assert [fake.shapes for fake in fakes] == [[(8, *SIZE, 3)]]


def test_a_batch_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, is 0"):
        EmbedImages(batch_size=0)
