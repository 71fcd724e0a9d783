"""Settings: what the parser finds, all of it, typed and frozen."""

import argparse
import dataclasses
from typing import Any

import pytest

from pipelines.options.command_line import parse
from pipelines.options.flags import parser
from pipelines.options.given import given
from pipelines.options.settings import Settings

NEEDED = ["--input", "photos", "--output", "out"]


def destinations() -> set[str]:
    return {action.dest for action in parser()._actions if not isinstance(action, argparse._HelpAction)}


def test_the_fields_are_the_destinations_of_the_parser_and_what_was_typed_when() -> None:
    fields = [field.name for field in dataclasses.fields(Settings)]
    assert len(fields) == len(set(fields))
    assert set(fields) == destinations() | {"origins", "command_line", "began"}


def test_each_field_holds_what_the_parser_found() -> None:
    typed = [*NEEDED, "--image_size=32x64", "--gpu=nvidia-l4", "--gpu_count=2", "--top_k=3", "--no_wait"]
    parsed, _ = parser().parse_known_args(typed)
    settings = Settings.of(given(typed, {}), 7.5)
    for name in destinations() - {"input", "allowed_prefix"}:
        assert getattr(settings, name) == getattr(parsed, name), name
    assert (settings.input, settings.allowed_prefix) == (("photos",), ())
    assert (settings.command_line, settings.began) == (tuple(typed), 7.5)


def test_no_input_is_an_empty_one() -> None:
    assert Settings.of(given(["--list_backbones"], {}), 0.0).input == ()


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_settings_are_frozen(field: Any) -> None:
    settings, _ = parse(NEEDED)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(settings, field.name, None)


@pytest.mark.parametrize(
    ("weights", "own"), [("imagenet", ""), ("random", ""), ("w.weights.h5", "w.weights.h5"), ("gs://b/m", "gs://b/m")]
)
def test_own_weights_are_those_that_are_not_built_in(weights: str, own: str) -> None:
    assert parse([*NEEDED, "--weights", weights])[0].own_weights == own
