"""What the text of an argument means, as a flag takes it."""

import pytest

from pipelines.options.flags import parse

NEEDED = ["--input", "photos", "--output", "out"]


@pytest.mark.parametrize(("text", "size"), [("224", (224, 224)), ("224x320", (224, 320)), ("32X64", (32, 64))])
def test_a_size_is_a_side_or_height_and_width(text: str, size: tuple[int, int]) -> None:
    assert parse([*NEEDED, "--image_size", text])[0].image_size == size


@pytest.mark.parametrize(
    ("flags", "value"),
    [([], False), (["--normalize"], True), (["--normalize=true"], True), (["--normalize=False"], False)],
)
def test_a_switch_may_have_a_value_as_a_template_gives_it(flags: list[str], value: bool) -> None:
    assert parse([*NEEDED, *flags])[0].normalize is value
