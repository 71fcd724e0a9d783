"""What the text of an argument means, as a flag takes it."""

import argparse
from collections.abc import Callable
from typing import Any

import pytest

from pipelines.options.arguments import (
    FORMATS,
    Parser,
    a_count,
    a_fraction,
    a_gpu,
    a_ratio,
    a_size,
    a_version,
    an_object,
    seconds,
    some_formats,
    some_names,
    some_prefixes,
    yes_or_no,
)
from pipelines.options.command_line import parse
from transforms.core.errors import UsageError

NEEDED = ["--input", "photos", "--output", "out"]


@pytest.mark.parametrize(("text", "size"), [("224", (224, 224)), ("224x320", (224, 320)), ("32X64", (32, 64))])
def test_a_size_is_a_side_or_height_and_width(text: str, size: tuple[int, int]) -> None:
    assert a_size(text) == size
    assert parse([*NEEDED, "--image_size", text])[0].image_size == size


@pytest.mark.parametrize(
    ("flags", "value"),
    [([], False), (["--normalize"], True), (["--normalize=true"], True), (["--normalize=False"], False)],
)
def test_a_switch_may_have_a_value_as_a_template_gives_it(flags: list[str], value: bool) -> None:
    assert parse([*NEEDED, *flags])[0].normalize is value


@pytest.mark.parametrize(
    ("function", "text", "value"),
    [
        (a_count, "1", 1),
        (a_count, "0017", 17),
        (seconds, "0.5", 0.5),
        (seconds, "60", 60.0),
        (a_ratio, "0", 0.0),
        (a_ratio, "1.0", 1.0),
        (a_fraction, "0.875", 0.875),
        (a_fraction, ".01", 0.01),
        (a_fraction, "1", 1.0),
        (yes_or_no, "TRUE", True),
        (an_object, ' {"alpha": 0.25} ', {"alpha": 0.25}),
        (some_formats, "TFRecord, parquet,tfrecord", ("tfrecord", "parquet")),
        (some_names, "VGG16, ResNet50,VGG16,", ("VGG16", "ResNet50")),
        (some_names, ",", ()),
        (some_prefixes, "gs://b/a, /photos,http://h", ("gs://b/a", "/photos", "http://h")),
        (a_gpu, "nvidia-l4", "nvidia-l4"),
        (a_version, "5xx", "5xx"),
        (a_version, "535.183.01", "535.183.01"),
    ],
)
def test_a_text_has_the_value_that_it_says(function: Callable[[str], Any], text: str, value: Any) -> None:
    found = function(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("function", "texts", "says"),
    [
        (a_count, ["0", "-1", "1.0", "", "many", "1e3"], "must be a whole number of at least 1, is "),
        (seconds, ["0", "-1", "nan", "inf", "", "soon"], "must be a positive number of seconds, is "),
        (a_ratio, ["-0.1", "1.5", "nan", "", "half"], "must be a number from 0 to 1, is "),
        (
            a_fraction,
            ["0", "0.0099", "-0.5", "1.001", "87.5", "224/256", "nan", ""],
            "must be a number from 0.01 to 1, is ",
        ),
        (yes_or_no, ["yes", "1", ""], "must be true or false, is "),
        (a_size, ["0", "1x2x3", "x", "224x", "-5", ""], "must be a side such as 224 or HEIGHTxWIDTH"),
        (an_object, ["[1]", "1", "", "{alpha: 1}"], "must be a JSON object"),
        (some_formats, ["csv", "", "parquet,"], "is not one of parquet, tfrecord"),
        (some_prefixes, ["", " "], "must be uris or paths, comma-separated, is "),
        (a_gpu, ["l4", "", "NVIDIA-L4"], "is not one of nvidia-l4, "),
        (a_version, ["", "5;count:8", "5 x", "5XX"], "must be a version such as 5xx, is "),
    ],
)
def test_a_text_that_says_nothing_is_refused_with_what_it_is(
    function: Callable[[str], Any], texts: list[str], says: str
) -> None:
    for text in texts:
        with pytest.raises(argparse.ArgumentTypeError) as refused:
            function(text)
        assert says in str(refused.value)
        assert repr(text.rpartition(",")[2]) in str(refused.value)


@pytest.mark.parametrize(
    ("function", "text", "nearest"), [(some_formats, "parket", "parquet"), (a_gpu, "nvidia-l5", "nvidia-l4")]
)
def test_a_misspelled_choice_is_answered_with_the_nearest(
    function: Callable[[str], Any], text: str, nearest: str
) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=rf"\(did you mean '{nearest}'\?\)$"):
        function(text)


def test_the_formats_are_those_of_the_output_folder() -> None:
    assert FORMATS == ("parquet", "tfrecord")


def test_an_error_of_the_parser_is_a_usage_error_that_names_the_help() -> None:
    parser = Parser(prog="a-command")
    parser.add_argument("--side", type=a_count)
    with pytest.raises(UsageError, match=r"^argument --side: must be .* is 'x'; see a-command --help$"):
        parser.parse_args(["--side=x"])
