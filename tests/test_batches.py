"""A batch: its order, its padding, bisection, out-of-memory, sizes."""

import concurrent.futures
import threading

import numpy as np
import pytest

from tests.fake_backbone import SIZE, FakeBackbone, pixels
from transforms import Embedding, ImageError
from transforms.batches import BatchEmbedder, default_batch_size, gpu_batch_size, padded
from transforms.counters import reset_tally, tally


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


@pytest.mark.parametrize("devices", [1, 2])
def test_as_many_batches_are_computed_at_a_time_as_there_are_devices(devices: int) -> None:
    together = threading.Barrier(devices, timeout=10)
    computing, most = [], []

    class Watched(FakeBackbone):
        def __call__(self, batch: np.ndarray) -> np.ndarray:
            computing.append(1)
            most.append(len(computing))
            together.wait()
            vectors = super().__call__(batch)
            computing.pop()
            return vectors

    backbone = Watched()
    backbone.devices = devices
    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        results = list(threads.map(lambda v: embed(backbone, [v]), range(6)))
    assert [r.embedding[0] for (r,) in results] == list(range(6))
    assert max(most) == devices


def test_how_long_a_device_was_busy_and_how_long_it_waited_is_counted() -> None:
    never = threading.Event()

    class Slow(FakeBackbone):
        def __call__(self, batch: np.ndarray) -> np.ndarray:
            never.wait(0.02)
            return super().__call__(batch)

    reset_tally()
    embedder = BatchEmbedder(Slow(), SIZE, 8)
    for value in (1, 2):
        never.wait(0.01)
        list(embedder([pixels(value)]))
    assert tally()["forward-busy-us"] >= 40_000
    assert tally()["forward-waited-us"] >= 20_000
