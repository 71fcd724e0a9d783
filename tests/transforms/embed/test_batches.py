"""A batch: its order, its padding, bisection, out-of-memory, its device."""

import concurrent.futures
import threading
import time

import numpy as np
import pytest

from tests.fake_backbone import SIZE, FakeBackbone, pixels
from transforms import Embedding, ImageError
from transforms.core.counters import reset_tally, tally
from transforms.embed.batches import BatchEmbedder
from transforms.embed.reference_images import reference_images


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


def test_a_batch_that_is_halved_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "transforms")
    embed(FakeBackbone(memory=4), list(range(8)))
    embed(FakeBackbone(poison=(0,)), [0, 1])
    first, second = caplog.messages
    assert first == "no memory for a batch of 8 images; from now on 4"
    assert second.startswith("a batch of 2 images is halved, since it raised: ")


def test_an_image_for_which_there_is_never_memory_is_a_transient_failure() -> None:
    (result,) = embed(FakeBackbone(memory=0), [1])
    assert (result.reason, result.transient) == ("out_of_memory", True)


@pytest.mark.parametrize("devices", [1, 2])
def test_each_device_computes_one_batch_at_a_time_and_all_do_at_once(devices: int) -> None:
    together = threading.Barrier(devices, timeout=10)
    computing, seen = set[int](), list[set[int]]()

    class Watched(FakeBackbone):
        def __call__(self, batch: np.ndarray, index: int = 0) -> np.ndarray:
            assert index not in computing
            computing.add(index)
            together.wait()
            seen.append(set(computing))
            # So long that another batch would come, if it could.
            time.sleep(0.02)
            together.wait()
            computing.remove(index)
            return super().__call__(batch)

    backbones = [Watched(), Watched()]
    for backbone in backbones:
        backbone.devices = devices
    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        results = list(threads.map(lambda v: embed(backbones[v % 2], [v]), range(6)))
    assert [r.embedding[0] for (r,) in results] == list(range(6))
    assert seen == [set(range(devices))] * 6


def test_a_device_with_room_for_two_batches_has_the_second_before_the_first_one_ends() -> None:
    both, computing = threading.Barrier(2, timeout=10), list[int]()

    class Watched(FakeBackbone):
        batches_in_flight = 2

        def __call__(self, batch: np.ndarray, index: int = 0) -> np.ndarray:
            computing.append(index)
            assert len(computing) <= 2
            both.wait()
            computing.remove(index)
            return super().__call__(batch)

    backbone = Watched()
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda v: embed(backbone, [v]), range(8)))
    assert [r.embedding[0] for (r,) in results] == list(range(8))


def test_a_batch_in_parts_keeps_its_device() -> None:
    both = threading.Barrier(2, timeout=10)
    calls: list[tuple[int, int]] = []

    class Watched(FakeBackbone):
        def __call__(self, batch: np.ndarray, index: int = 0) -> np.ndarray:
            calls.append((index, int(batch.mean()) // 100))
            both.wait()
            return super().__call__(batch)

    backbone = Watched(memory=2)
    backbone.devices = 2
    embedder = BatchEmbedder(backbone, SIZE, 2)
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda values: list(embedder([pixels(v) for v in values])), [range(8), range(100, 108)]))
    assert len(calls) == 8
    assert len(set(calls)) == 2


def test_a_batch_that_waited_is_no_larger_than_the_one_before_left_room_for() -> None:
    backbone = FakeBackbone(memory=3)
    embedder = BatchEmbedder(backbone, SIZE, 8)
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        for results in threads.map(lambda _: list(embedder([pixels(v) for v in range(8)])), range(2)):
            assert [r.embedding[0] for r in results] == list(range(8))
    assert [shape[0] for shape in backbone.shapes if shape[0] > 3] == [8, 4]


def test_how_long_a_device_was_busy_and_how_long_it_waited_is_counted() -> None:
    class Slow(FakeBackbone):
        def __call__(self, batch: np.ndarray, index: int = 0) -> np.ndarray:
            time.sleep(0.02)
            return super().__call__(batch)

    reset_tally()
    time.sleep(0.02)
    started = time.monotonic()
    embedder = BatchEmbedder(Slow(), SIZE, 8)
    for value in (1, 2):
        time.sleep(0.01)
        list(embedder([pixels(value)]))
    whole = 1e6 * (time.monotonic() - started)
    counted = tally()
    assert counted["forward-busy-us"] >= 40_000
    # Not what was before there was a backbone, and not what it was busy.
    assert 20_000 <= counted["forward-waited-us"] <= whole - counted["forward-busy-us"]


@pytest.mark.parametrize(
    ("batch_size", "smallest", "shapes"),
    [(64, 1, [8]), (64, 16, [16]), (64, 64, [64]), (4, 1, [4, 4]), (3, 1, [3, 3, 3]), (1, 1, [1] * 8)],
)
def test_the_reference_images_take_a_shape_that_other_batches_have(
    batch_size: int, smallest: int, shapes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = FakeBackbone()
    monkeypatch.setattr(backbone, "smallest_batch", lambda given: {batch_size: smallest}[given])
    vectors = BatchEmbedder(backbone, SIZE, batch_size).reference_vectors()
    assert [shape[0] for shape in backbone.shapes] == shapes
    np.testing.assert_array_equal(vectors, FakeBackbone()(reference_images(SIZE)))


def test_reference_images_for_which_there_is_no_memory_halve_the_batch_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone = FakeBackbone(memory=16)
    monkeypatch.setattr(backbone, "smallest_batch", lambda given: given)
    embedder = BatchEmbedder(backbone, SIZE, 64)
    assert embedder.reference_vectors().shape == (8, 2)
    assert [shape[0] for shape in backbone.shapes] == [64, 32, 16]
    assert embedder.batch_size == 16


def test_an_engine_that_cannot_embed_the_reference_images_raises() -> None:
    (poison,) = set(FakeBackbone()(reference_images(SIZE)[:1])[:, 0])
    with pytest.raises(ValueError, match="poison"):
        BatchEmbedder(FakeBackbone((poison,)), SIZE, 64).reference_vectors()
