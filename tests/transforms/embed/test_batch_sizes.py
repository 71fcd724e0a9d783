"""How many images a batch has, and how a short one is padded."""

import numpy as np
import pytest

from transforms.embed.batch_sizes import CPU_BATCH, GPU_BATCH, default_batch_size, filled, gpu_batch_size, padded


def test_the_default_batch_shrinks_with_the_image() -> None:
    assert [default_batch_size((side, side)) for side in (224, 331, 600, 5000)] == [64, 32, 8, 1]


def test_the_default_batch_is_by_the_area_and_not_by_one_side() -> None:
    assert default_batch_size((112, 448)) == default_batch_size((448, 112)) == default_batch_size((224, 224)) == 64


@pytest.mark.parametrize("images", [CPU_BATCH, GPU_BATCH, 1, 3.7])
@pytest.mark.parametrize("side", [32, 96, 224, 260, 331, 528, 600, 5000])
def test_a_batch_is_a_power_of_two_and_holds_an_image(side: int, images: float) -> None:
    batch = default_batch_size((side, side), images)
    assert batch in [2**n for n in range(20)]
    pixels, aimed = batch * side * side, images * 224 * 224
    assert batch == 1 or aimed / 2**0.51 <= pixels <= aimed * 2**0.51


def test_a_gpus_batch_is_by_its_memory() -> None:
    assert [gpu_batch_size((224, 224), gib << 30) for gib in (0, 4, 16, 24, 80)] == [1, 32, 128, 256, 256]


def test_a_gpus_batch_shrinks_with_the_image_too() -> None:
    assert [gpu_batch_size((side, side), 16 << 30) for side in (112, 224, 448, 4000)] == [512, 128, 32, 1]


def test_the_last_image_is_repeated_up_to_a_power_of_two_or_the_batch_size() -> None:
    images = np.arange(15, dtype=np.uint8).reshape(5, 1, 1, 3)
    assert padded(images, 6).ravel().tolist() == [*range(15), 12, 13, 14]
    assert padded(images, 64).ravel().tolist() == [*range(15), *[12, 13, 14] * 3]
    assert padded(images, 5) is images


@pytest.mark.parametrize(("n", "rows"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (8, 8), (9, 12), (12, 12)])
def test_few_shapes_come_to_be(n: int, rows: int) -> None:
    images = np.zeros((n, 2, 2, 3), np.uint8)
    result = padded(images, 12)
    assert (result.shape, result.dtype) == ((rows, 2, 2, 3), np.uint8)


def test_the_last_image_fills_as_many_rows_as_are_asked_for() -> None:
    images = np.arange(6, dtype=np.uint8).reshape(2, 1, 1, 3)
    assert filled(images, 4)[:, 0, 0, 0].tolist() == [0, 3, 3, 3]
    assert filled(images, 2) is images


def test_a_batch_that_is_larger_than_its_size_is_left_as_it_is() -> None:
    images = np.zeros((5, 1, 1, 3), np.uint8)
    assert padded(images, 2) is images
