"""Batches have few shapes, and no image is lost in them or takes another's place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.fake_backbone import SIZE, FakeBackbone, pixels
from transforms import Embedding, ImageError
from transforms.embed.batch_sizes import CPU_BATCH, GPU_BATCH, default_batch_size, gpu_batch_size, padded
from transforms.embed.batches import BatchEmbedder

SIZES = st.tuples(st.integers(1, 4096), st.integers(1, 4096))
BATCHES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.just(1), st.just(2), st.just(3)))
MEMORIES = st.integers(0, 200 << 30)


@given(BATCHES, st.integers(1, 64))
def test_a_padded_batch_has_the_images_first_and_then_the_last_one_again(images: np.ndarray, batch_size: int) -> None:
    found = padded(images, batch_size)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[: len(images)], images)
    assert all((image == images[-1]).all() for image in found[len(images) :])


@given(st.integers(1, 300))
def test_batches_of_any_length_have_few_shapes_and_none_is_twice_as_long_as_need_be(batch_size: int) -> None:
    lengths = {}
    for n in range(1, batch_size + 1):
        lengths[n] = len(padded(np.zeros((n, 1, 1, 3), np.uint8), batch_size))
        assert n <= lengths[n] <= batch_size
        assert lengths[n] < 2 * n
    powers = {1 << i for i in range(10)}
    assert set(lengths.values()) <= {*powers, batch_size}
    assert lengths[batch_size] == batch_size


@given(SIZES, st.sampled_from([CPU_BATCH, GPU_BATCH]) | st.floats(0.01, 4096))
def test_a_batch_is_the_power_of_two_nearest_to_the_pixels_of_its_images(size: tuple[int, int], images: float) -> None:
    found = default_batch_size(size, images)
    assert found >= 1
    assert found & (found - 1) == 0
    exact = images * 224 * 224 / (size[0] * size[1])
    # At most half a power away, but never below one image.
    assert found <= max(exact, 1) * 2**0.5 * 1.000001 or found == 1
    assert found >= exact / 2**0.5 / 1.000001


@given(SIZES, st.integers(1, 1000), st.integers(1, 1000))
def test_larger_images_never_make_larger_batches(size: tuple[int, int], higher: int, wider: int) -> None:
    assert default_batch_size((size[0] + higher, size[1] + wider)) <= default_batch_size(size)


@given(SIZES)
def test_height_and_width_decide_alike(size: tuple[int, int]) -> None:
    assert default_batch_size(size) == default_batch_size(size[::-1])


@given(SIZES, MEMORIES, MEMORIES)
def test_more_memory_never_makes_smaller_batches_nor_ones_above_the_limit(
    size: tuple[int, int], one: int, other: int
) -> None:
    smaller, larger = (gpu_batch_size(size, memory) for memory in sorted((one, other)))
    assert 1 <= smaller <= larger <= default_batch_size(size, GPU_BATCH)


VALUES = st.lists(st.integers(0, 255), max_size=40)


@given(st.data(), VALUES, st.integers(1, 64), st.integers(1, 64))
def test_each_image_has_its_own_outcome_whatever_the_others_do(
    data: st.DataObject, values: list[int], batch_size: int, memory: int
) -> None:
    poison = data.draw(st.sets(st.sampled_from(values), max_size=5)) if values else set()
    batch = [pixels(value) for value in values]
    backbone = FakeBackbone(tuple(poison), memory)
    outcomes = list(BatchEmbedder(backbone, SIZE, batch_size)(batch))
    assert len(outcomes) == len(values)
    for value, outcome in zip(values, outcomes, strict=True):
        if value in poison:
            assert isinstance(outcome, ImageError)
            assert outcome.reason == "inference"
        else:
            assert isinstance(outcome, Embedding)
            assert outcome.source.uri == str(value)
            assert outcome.embedding.tolist() == pytest.approx([value, 2 * value])
    assert all(shape[0] <= batch_size for shape in backbone.shapes)
