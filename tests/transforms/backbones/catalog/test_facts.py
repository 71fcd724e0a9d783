"""The table of backbones: all that Keras has, found in any case."""

import keras
import pytest

from transforms.backbones.catalog.facts import catalog_rows, find_backbone
from transforms.core.errors import UsageError


def test_names_are_of_any_case_and_nearly_right_ones_are_suggested() -> None:
    assert find_backbone("efficientnetv2b0").name == "EfficientNetV2B0"
    with pytest.raises(
        UsageError, match=r"unknown backbone 'ResNet-50' \(did you mean 'ResNet50'\?\); see --list_backbones"
    ):
        find_backbone("ResNet-50")


def test_a_name_that_is_near_none_is_refused_without_a_guess() -> None:
    with pytest.raises(UsageError, match="unknown backbone 'CLIP'; see --list_backbones"):
        find_backbone("CLIP")


def test_there_are_the_forty_constructors_of_keras() -> None:
    keras_has = [name for name in vars(keras.applications) if name[0].isupper()]
    assert sorted(catalog_rows()) == sorted(keras_has)
    assert len(keras_has) == 40


def test_each_row_has_the_types_that_it_says() -> None:
    for name, row in catalog_rows().items():
        assert row.name == name
        assert all(type(number) is int and number > 0 for number in (row.side, row.dim, row.params))
        assert 60 < row.top_1 < 90
        assert row.preprocessing
