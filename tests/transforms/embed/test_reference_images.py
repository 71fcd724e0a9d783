"""The reference images are the same bytes everywhere, and no two of them alike."""

import hashlib

import numpy as np
import pytest

from transforms.embed.reference_images import COUNT, reference_images

PINNED = {
    (224, 224): "be0b2789ec4366b2",
    (31, 47): "bae9ced603de1229",
}


@pytest.mark.parametrize("size", PINNED, ids=str)
def test_they_are_the_same_on_every_platform(size: tuple[int, int]) -> None:
    images = reference_images(size)
    assert (images.shape, images.dtype) == ((COUNT, *size, 3), np.uint8)
    assert hashlib.sha256(images.tobytes()).hexdigest()[:16] == PINNED[size]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 9), (600, 3)], ids=str)
def test_there_are_eight_of_any_size(size: tuple[int, int]) -> None:
    assert reference_images(size).shape == (COUNT, *size, 3)


def test_no_two_are_alike_and_each_has_many_colours() -> None:
    images = reference_images((96, 96)).reshape(COUNT, -1).astype(np.float64)
    assert np.abs(np.corrcoef(images) - np.eye(COUNT)).max() < 0.9
    assert images.std(axis=1).min() > 30
