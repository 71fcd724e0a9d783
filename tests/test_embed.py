"""Pixels to embeddings: batches, bisection, out-of-memory, sizes."""

import collections

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from transforms import Backbone, Embedding, EmbedImages, ImageError, ImageFacts, ImageUri, Pixels
from transforms.embed import BackboneHandler, BatchEmbedder, default_batch_size, gpu_batch_size, padded

SIZE = (2, 2)
FACTS = ImageFacts(2, 2, "PNG", "00")


def pixels(value: int, size: tuple[int, int] = SIZE) -> Pixels:
    return Pixels(ImageUri(str(value)), FACTS, {size: np.full((*size, 3), value, np.uint8)})


class FakeBackbone:
    """Embeds an image as its mean and its double; chokes on some values, and on batches above its memory."""

    device = "CPU"
    device_memory = 0

    def __init__(self, poison: tuple[int, ...] = (), memory: int = 1000):
        self.poison, self.memory = poison, memory
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.shapes.append(batch.shape)
        if len(batch) > self.memory:
            raise MemoryError("no room")
        means = batch.mean(axis=(1, 2, 3)).astype(np.float32)
        if np.isin(means, self.poison).any():
            raise ValueError("poison")
        return np.stack([means, 2 * means], axis=1)


def embed(backbone: FakeBackbone, values: list[int], batch_size: int = 8) -> list[Embedding | ImageError]:
    return list(BatchEmbedder(backbone, SIZE, batch_size)([pixels(v) for v in values]))


def test_vectors_come_back_in_order() -> None:
    results = embed(FakeBackbone(), [3, 1, 2])
    assert [(r.source.uri, r.embedding.tolist()) for r in results] == [
        ("3", [3.0, 6.0]),
        ("1", [1.0, 2.0]),
        ("2", [2.0, 4.0]),
    ]


def test_a_tail_is_padded_to_a_power_of_two() -> None:
    backbone = FakeBackbone()
    for n in range(1, 9):
        assert len(embed(backbone, list(range(n)))) == n
    assert [shape[0] for shape in backbone.shapes] == [1, 2, 4, 4, 8, 8, 8, 8]
    assert padded([np.zeros((1, 1, 3), np.uint8)] * 5, 6).shape == (6, 1, 1, 3)


@pytest.mark.parametrize("poison", [(0,), (6,), (2, 3), tuple(range(7))])
def test_only_the_images_that_raise_are_lost(poison: tuple[int, ...]) -> None:
    results = embed(FakeBackbone(poison), list(range(7)))
    for value, result in enumerate(results):
        if value in poison:
            assert isinstance(result, ImageError)
            assert result.reason == "inference"
            assert isinstance(result.__cause__, ValueError)
        else:
            assert result.embedding.tolist() == [value, 2 * value]


def test_out_of_memory_halves_the_batch_for_good() -> None:
    backbone = FakeBackbone(memory=3)
    embedder = BatchEmbedder(backbone, SIZE, 8)
    for _ in range(2):
        results = list(embedder([pixels(v) for v in range(8)]))
        assert [r.embedding[0] for r in results] == list(range(8))
    assert embedder.batch_size == 2
    too_big = [shape[0] for shape in backbone.shapes if shape[0] > 3]
    assert too_big == [8, 4]


def test_an_image_for_which_there_is_never_memory_is_a_transient_failure() -> None:
    (result,) = embed(FakeBackbone(memory=0), [1])
    assert (result.reason, result.transient) == ("out_of_memory", True)


def test_pixels_of_another_size_are_a_failure() -> None:
    results = list(BatchEmbedder(FakeBackbone(), SIZE, 8)([pixels(1), pixels(2, (4, 4)), pixels(3)]))
    assert [getattr(r, "reason", "") for r in results] == ["", "missing_size", ""]
    assert results[2].embedding[0] == 3


def test_the_default_batch_shrinks_with_the_image() -> None:
    assert [default_batch_size((side, side)) for side in (224, 331, 600, 5000)] == [64, 32, 8, 1]


def test_a_gpus_batch_is_by_its_memory() -> None:
    assert [gpu_batch_size((224, 224), gib << 30) for gib in (0, 4, 16, 24, 80)] == [1, 32, 128, 256, 256]


@pytest.mark.parametrize(("device", "given", "expected"), [("GPU", None, 32), ("CPU", None, 64), ("GPU", 8, 8)])
def test_the_worker_decides_on_the_batch_unless_it_is_given(device: str, given: int | None, expected: int) -> None:
    def load(backbone: Backbone) -> FakeBackbone:
        fake = FakeBackbone()
        fake.device, fake.device_memory = device, 4 << 30
        return fake

    assert BackboneHandler(EmbedImages(batch_size=given, load=load)).load_model().batch_size == expected


def test_a_required_gpu_that_is_not_there_fails_at_once() -> None:
    with pytest.raises(RuntimeError, match="a GPU is required"):
        BackboneHandler(EmbedImages(require_gpu=True, load=load_fake)).load_model()


loads: collections.Counter[str] = collections.Counter()


def load_fake(backbone: Backbone) -> FakeBackbone:
    loads[backbone.name] += 1
    return FakeBackbone(poison=(4,))


def test_embed_images_splits_embeddings_from_failures_and_loads_once() -> None:
    loads.clear()
    with beam.Pipeline(runner=FnApiRunner()) as p:
        embed_images = EmbedImages(Backbone(image_size=SIZE), 4, "float16", load=load_fake)
        embeddings, unembedded = p | beam.Create([pixels(v) for v in range(10)]) | embed_images
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


def test_a_batch_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, is 0"):
        EmbedImages(batch_size=0)
