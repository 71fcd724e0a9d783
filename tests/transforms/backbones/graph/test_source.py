"""An output is one vector an image, or it is refused."""

import pytest

from transforms import Backbone
from transforms.backbones.graph.source import width_of
from transforms.core.errors import UsageError


def test_the_width_of_a_vector_is_its_second_axis() -> None:
    assert width_of((None, 1280), Backbone()) == 1280


@pytest.mark.parametrize("shape", [(None,), (None, None), (None, 7, 7, 1280), (None, 3, 4)])
def test_what_is_not_one_vector_an_image_is_refused(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(UsageError, match=r"MobileNetV2 gives .*, not one vector an image") as error:
        width_of(shape, Backbone())
    assert str(shape) in str(error.value)
